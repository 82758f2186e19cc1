//! Base images in tables (contract §3.2).

use std::borrow::Cow;

use dispatch_api::{Operation, base_image::BaseImage};

use crate::{
    clock,
    nouns::{Noun, Operations, State, Words, reasons},
    output::time,
};

impl Noun for BaseImage {
    const WORDS: Words =
        Words { command: "base-image", created: "base image", deleted: "base image" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListBaseImages,
        get: Some(Operation::GetBaseImage),
        delete: Some(Operation::DeleteBaseImage),
    };
    const HEADER: &'static [&'static str] = &["Name", "URL", "Status", "Created Date"];
    const WIDE: &'static [&'static str] = &["ID", "Language", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.docker_url.clone(),
            self.status.clone(),
            time::unix_date(self.created_time, &clock::zone()),
        ]
    }

    fn wide(&self) -> Vec<String> {
        vec![self.id.to_string(), self.language.clone(), reasons(self.reason.as_ref(), &[])]
    }

    fn state(&self) -> State {
        State::of(&self.status, self.reason.as_ref()).doing("trying the interpreter")
    }
}
