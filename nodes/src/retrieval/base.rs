//! Which knowledge bases a node asks.

use globset::Glob;
use liteagent_engine::node::prelude::*;

/// The names of knowledge bases, and what they may be where they come from a template.
pub(super) struct Bases<'a> {
    pub(super) names: &'a TemplateTree,
    pub(super) allow: &'a [String],
}

impl Bases<'_> {
    /// Checks what types cannot.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.names.templates().is_empty() {
            read(self.names.source()).map_err(|message| {
                ConfigError::new(codes::KNOWLEDGE_INVALID, "/knowledge", message)
                    .hint("name a knowledge base, such as `knowledge: handbook`")
            })?;
        }
        for (index, pattern) in self.allow.iter().enumerate() {
            Glob::new(pattern).map_err(|error| {
                ConfigError::new(
                    codes::KNOWLEDGE_NOT_ALLOWED,
                    format!("/allow/{index}"),
                    format!("expected a name or a pattern such as `team-*`: {}", error.kind()),
                )
                .hint("write the names of knowledge bases")
            })?;
        }
        Ok(())
    }

    /// The names, each once.
    pub(super) fn read(&self, ctx: &NodeCtx) -> Result<Vec<String>, NodeError> {
        let wrong = |message| {
            NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
                .hint("give the name of a knowledge base, or a list of names")
        };
        let names = read(&ctx.render_tree(self.names)?).map_err(wrong)?;
        if !self.names.templates().is_empty() {
            for name in &names {
                self.admit(name)?;
            }
        }
        Ok(names)
    }

    fn admit(&self, name: &str) -> Result<(), NodeError> {
        let fits = |pattern: &String| Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name));
        if self.allow.iter().any(fits) {
            return Ok(());
        }
        let allowed: Vec<String> = self.allow.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("expected one of {}, found the knowledge base `{name}`", allowed.join(", "));
        Err(NodeError::new(codes::KNOWLEDGE_NOT_ALLOWED, ErrorClass::Forbidden, message)
            .hint("add it to `allow` if that is right"))
    }
}

fn read(value: &Value) -> Result<Vec<String>, String> {
    let names = value.as_list().unwrap_or(std::slice::from_ref(value));
    let mut read: Vec<String> = Vec::new();
    for name in names {
        let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
            return Err(format!("expected the name of a knowledge base, found {}", name.kind()));
        };
        if !read.iter().any(|known| known == name) {
            read.push(name.to_owned());
        }
    }
    if read.is_empty() {
        Err("expected the name of a knowledge base, found an empty list".to_owned())
    } else {
        Ok(read)
    }
}
