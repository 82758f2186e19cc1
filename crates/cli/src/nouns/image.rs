//! Images in tables (contract §3.2), and what their build said.

use std::borrow::Cow;

use dispatch_api::{Operation, image::Image};

use crate::{
    clock,
    nouns::{Noun, Operations, State, Words, reasons},
    output::time,
};

impl Noun for Image {
    const WORDS: Words = Words { command: "image", created: "image", deleted: "image" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListImages,
        get: Some(Operation::GetImage),
        delete: Some(Operation::DeleteImage),
    };
    const HEADER: &'static [&'static str] = &["Name", "URL", "BaseImage", "Status", "Created Date"];
    const WIDE: &'static [&'static str] = &["ID", "Language", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.docker_url.clone(),
            self.base_image_name.clone(),
            self.status.clone(),
            time::unix_date(self.created_time, &clock::zone()),
        ]
    }

    fn wide(&self) -> Vec<String> {
        vec![self.id.to_string(), self.language.clone(), reasons(self.reason.as_ref(), &[])]
    }

    fn state(&self) -> State {
        let mut state = State::of(&self.status, self.reason.as_ref()).doing("installing");
        if !state.at_rest && state.says.is_empty() {
            state.says = self.build_log.last().cloned().unwrap_or_default();
        }
        state
    }

    fn log(&self) -> &[String] {
        &self.build_log
    }
}
