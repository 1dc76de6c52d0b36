//! What a person sees in an editor: yaml-language-server, without an editor, over our files.
//!
//! `LITEAGENT_YAML_LS` is the path of its program; `make test` installs it.

mod language_server {
    mod project;
    mod schema;
    mod server;
}
