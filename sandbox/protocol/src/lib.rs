//! What the sandbox of LiteAgent is asked, and what it answers.
//!
//! # Layout
//! - [`Request`]: code, its inputs, and the limits that the caller wants;
//! - [`Success`] and [`Failure`]: what came of it, each with what the code printed and what it used;
//! - [`Fault`]: what went wrong, with a code, a class and a hint;
//! - [`Runner`]: a way to run calls, of which there are several;
//! - `testing`: what each of them must do (feature `testing`).
//!
//! ```
//! use liteagent_sandbox_protocol::{Language, Request};
//!
//! let code = "def main(name):\n    return {'greeting': f'Hello, {name}'}";
//! let request = Request::new(Language::Python, code).with_inputs(&serde_json::json!({ "name": "Ada" })).unwrap();
//! assert_eq!(request.inputs.get(), r#"{"name":"Ada"}"#);
//! ```

mod fault;
mod limits;
mod request;
mod runner;
#[cfg(feature = "testing")]
pub mod testing;

pub use fault::{Class, Fault, Kind};
pub use limits::{Limit, Limits};
pub use request::{Failure, Language, Mode, Reply, Request, Success, UnknownLanguage, Usage};
pub use runner::{Load, Package, Runner};
