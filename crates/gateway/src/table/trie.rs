//! Paths by segment, with what is claimed at each. Looking up allocates nothing.

use std::collections::HashMap;

use http::Method;

/// Which method a request needs.
#[derive(Debug, Clone, Copy)]
pub enum Want<'a> {
    Method(&'a Method),
    /// Whatever is claimed there: for a question about the path itself.
    Any,
}

/// A method of a path that a route answers; `None` is every method that nobody claims by name.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) method: Option<Method>,
    /// The route's place in the table.
    pub(super) route: usize,
}

/// Where a request fits. The greater fits better: the longer path, then the host's own, then the method's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    pub(super) depth: usize,
    pub(super) host: bool,
    pub(super) method: bool,
    pub(super) route: usize,
}

#[derive(Debug, Default)]
pub(super) struct Trie {
    children: HashMap<Box<[u8]>, Trie>,
    answers: Vec<Answer>,
}

impl Trie {
    pub(super) fn node<'s>(&self, segments: impl IntoIterator<Item = &'s [u8]>) -> Option<&Self> {
        segments.into_iter().try_fold(self, |node, segment| node.children.get(segment))
    }

    pub(super) fn node_mut(&mut self, segments: Vec<Box<[u8]>>) -> &mut Self {
        segments.into_iter().fold(self, |node, segment| node.children.entry(segment).or_default())
    }

    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    pub(super) fn answer(&mut self, method: Option<Method>, route: usize) {
        self.answers.push(Answer { method, route });
    }

    /// Any route at this node or below it.
    pub(super) fn any_route(&self) -> Option<usize> {
        let own = self.answers.first().map(|answer| answer.route);
        own.or_else(|| self.children.values().find_map(Self::any_route))
    }

    /// The deepest node on the way of `segments` where somebody answers `want`. `above` is the depth of this trie.
    pub(super) fn deepest<S: AsRef<[u8]>>(
        &self,
        segments: impl Iterator<Item = S>,
        want: Want<'_>,
        above: usize,
        host: bool,
    ) -> Option<Fit> {
        let mut node = self;
        let mut depth = above;
        let mut best = node.fit(want, depth, host);
        for segment in segments {
            let Some(child) = node.children.get(segment.as_ref()) else { break };
            node = child;
            depth += 1;
            best = node.fit(want, depth, host).or(best);
        }
        best
    }

    fn fit(&self, want: Want<'_>, depth: usize, host: bool) -> Option<Fit> {
        let fits = |answer: &&Answer| match (want, &answer.method) {
            (Want::Any, _) | (_, None) => true,
            (Want::Method(wanted), Some(method)) => wanted == method,
        };
        let best = self.answers.iter().filter(fits).max_by_key(|answer| answer.method.is_some())?;
        Some(Fit { depth, host, method: best.method.is_some(), route: best.route })
    }
}
