//! What editors read: the schemas of our files.

use liteagent_engine::editor;

use crate::testing;

/// A kind of file that has a schema.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Workflows.
    Workflow,
    /// Their tests, `NAME.test.yaml`.
    Test,
}

impl Kind {
    /// The JSON Schema (draft 7) as a file.
    pub fn text(self) -> String {
        let schema = match self {
            Self::Workflow => editor::workflow_schema(&liteagent_nodes::registry()),
            Self::Test => editor::file_schema(testing::schema()),
        };
        format!("{schema:#}\n")
    }
}
