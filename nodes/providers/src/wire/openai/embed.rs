//! Vectors of texts.

use liteagent_engine::capability::model::Usage;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::{
    failure::{Fault, Said},
    wire::count,
};

/// The vectors of one request.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch {
    /// In the order of the texts, of length 1.
    pub(crate) vectors: Vec<Vec<f32>>,
    /// What it used.
    pub(crate) usage: Usage,
}

#[derive(Deserialize)]
struct Reply {
    data: Vec<Item>,
    #[serde(default)]
    usage: Json,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The request for some of the texts.
pub(crate) fn request(model: &str, texts: &[String]) -> Map<String, Json> {
    Map::from_iter([
        ("model".to_owned(), json!(model)),
        ("input".to_owned(), json!(texts)),
        ("encoding_format".to_owned(), json!("float")),
    ])
}

impl Batch {
    /// Reads the answer to a request for `texts` vectors.
    pub(crate) fn read(body: &[u8], texts: usize) -> Result<Self, Fault> {
        let reply: Reply = match serde_json::from_slice(body) {
            Ok(reply) => reply,
            Err(error) => {
                let json: Json = serde_json::from_slice(body).unwrap_or_default();
                let broken = || Fault::answer(format!("expected vectors: {error}"));
                return Err(Said::read(&json).map_or_else(broken, Said::into_fault));
            }
        };
        if reply.data.len() != texts {
            return Err(Fault::answer(format!("expected {texts} vectors, found {}", reply.data.len())));
        }
        let mut vectors = vec![Vec::new(); texts];
        for (place, item) in reply.data.into_iter().enumerate() {
            let at = item.index.unwrap_or(place);
            let vector = vectors.get_mut(at).filter(|vector| vector.is_empty());
            let Some(vector) = vector else {
                return Err(Fault::answer(format!(
                    "expected one vector for each text, found another with the index {at}"
                )));
            };
            *vector = of_length_one(item.embedding)?;
        }
        let length = vectors.first().map_or(0, Vec::len);
        if let Some(other) = vectors.iter().find(|vector| vector.len() != length) {
            return Err(Fault::answer(format!("expected vectors of one length, found {length} and {}", other.len())));
        }
        let input = count(&reply.usage, &["/prompt_tokens", "/total_tokens"]).unwrap_or(0);
        Ok(Self { vectors, usage: Usage { input_tokens: input, ..Usage::default() } })
    }
}

fn of_length_one(mut vector: Vec<f32>) -> Result<Vec<f32>, Fault> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err(Fault::answer("expected vectors, found one without direction"));
    }
    for number in &mut vector {
        *number = (f64::from(*number) / length) as f32;
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;

    fn read(body: &Json, texts: usize) -> Result<Batch, Fault> {
        Batch::read(body.to_string().as_bytes(), texts)
    }

    #[test]
    fn vectors_are_put_in_order_and_made_one_long() {
        let body = json!({ "data": [{ "index": 1, "embedding": [0.0, 2.0] }, { "index": 0, "embedding": [3.0, 4.0] }],
            "usage": { "prompt_tokens": 7, "total_tokens": 7 } });
        let batch = read(&body, 2).unwrap();
        assert_eq!(batch.vectors, [[0.6, 0.8], [0.0, 1.0]]);
        assert_eq!(batch.usage.input_tokens, 7);
    }

    #[test]
    fn answers_that_do_not_fit_are_broken() {
        let item = |index: usize, vector: &[f32]| json!({ "index": index, "embedding": vector });
        for data in [
            json!([item(0, &[1.0])]),
            json!([item(0, &[1.0]), item(0, &[1.0])]),
            json!([item(0, &[1.0]), item(2, &[1.0])]),
            json!([item(0, &[1.0]), item(1, &[1.0, 2.0])]),
            json!([item(0, &[1.0]), item(1, &[0.0])]),
            json!([item(0, &[1.0]), { "embedding": "AAAA" }]),
        ] {
            let fault = read(&json!({ "data": data }), 2).unwrap_err();
            assert_eq!(fault.kind, Kind::Answer, "{data}: {fault:?}");
        }
        assert_eq!(read(&json!({ "error": { "type": "server_error" } }), 1).unwrap_err().kind, Kind::Overloaded);
    }
}
