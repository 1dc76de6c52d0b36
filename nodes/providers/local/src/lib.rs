//! A small chat model and an embedding model that run in the process, without any key.
//!
//! # Layout
//! - [`LocalModels`]: the models as nodes see them, `local/smollm2-135m-instruct` and `local/all-minilm-l6-v2`;
//! - [`weights`]: what they are made of, and [`weights::pull`], which fetches it;
//! - `chat`: answers, with Llama; `embed`: texts to vectors, with BERT;
//! - `kernel`: the arithmetic of both.
//!
//! # Example
//! ```no_run
//! use liteagent_engine::capability::model::{EmbedRequest, Models};
//! use liteagent_local_models::{LocalConfig, LocalModels, weights};
//!
//! # async fn example() -> Result<(), liteagent_engine::error::NodeError> {
//! let models = LocalModels::new(LocalConfig::new(weights::folder()));
//! let request = EmbedRequest {
//!     model: "local/all-minilm-l6-v2".into(),
//!     texts: vec!["How do I pay?".into(), "Invoices and payments.".into()],
//!     ..EmbedRequest::default()
//! };
//! let found = models.embed(request).await?;
//! let likeness: f32 = found.vectors[0].iter().zip(&found.vectors[1]).map(|(a, b)| a * b).sum();
//! # Ok(())
//! # }
//! ```

mod chat;
mod embed;
mod failure;
mod kernel;
mod mapped;
mod models;
mod stop;
pub mod weights;

pub use models::{LocalConfig, LocalModels, PROVIDER};
