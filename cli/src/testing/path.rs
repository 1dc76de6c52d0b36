//! Paths of nodes in tests: `each.fetch` means every frame, `each[3].fetch` one.

/// A path as a test writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern(Vec<(String, Option<u32>)>);

impl Pattern {
    /// Reads a path; parts that are no ids match nothing.
    pub(super) fn new(text: &str) -> Self {
        Self(text.split('.').map(part).collect())
    }

    /// Whether this path leads to the node at `path`, whose frames are all numbered.
    pub(super) fn fits(&self, path: &str) -> bool {
        let mut parts = path.split('.').map(part);
        let fits = self.0.iter().all(|(name, index)| {
            parts.next().is_some_and(|(other, at)| *name == other && (index.is_none() || *index == at))
        });
        fits && parts.next().is_none()
    }

    /// How many frames it names: of two that fit, the more exact one counts.
    pub(super) fn exactness(&self) -> usize {
        self.0.iter().filter(|(_, index)| index.is_some()).count()
    }

    /// The ids, without frames.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// A path as tests write it: the call of a tool has the name of the tool, `agent[0].tools.refund[1]`, and what it calls
/// stands below that. No other node can be called `call`.
pub(super) fn shown(path: &str) -> &str {
    path.strip_suffix(".call").unwrap_or(path)
}

fn part(text: &str) -> (String, Option<u32>) {
    let indexed = || {
        let (name, index) = text.strip_suffix(']')?.split_once('[')?;
        Some((name.to_owned(), Some(index.parse().ok()?)))
    };
    indexed().unwrap_or_else(|| (text.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_frames_means_every_frame() {
        assert!(Pattern::new("each.fetch").fits("each[3].fetch"));
        assert!(Pattern::new("each[3].fetch").fits("each[3].fetch"));
        assert!(!Pattern::new("each[2].fetch").fits("each[3].fetch"));
        assert!(!Pattern::new("each").fits("each[3].fetch"));
        assert!(!Pattern::new("each.fetch.more").fits("each[3].fetch"));
        assert!(Pattern::new("finally.log").fits("finally.log"));
        assert_eq!(Pattern::new("a[1].b.c[0]").exactness(), 2);
    }
}
