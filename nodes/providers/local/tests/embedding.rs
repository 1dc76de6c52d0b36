//! The embedding model beside what sentence-transformers gives for the same texts. `cargo xtask models` fetches the weights.

use liteagent_engine::{
    capability::model::{EmbedRequest, Models},
    codes,
};
use liteagent_local_models::{LocalConfig, LocalModels, weights};
use serde_json::Value;

const MODEL: &str = "local/all-minilm-l6-v2";

/// Texts with their vectors, written by sentence-transformers: an empty one, one of many scripts, one that is cut.
const EXPECTED: &str = include_str!("fixtures/embeddings.json");

fn models() -> LocalModels {
    LocalModels::new(LocalConfig::new(weights::folder()))
}

fn request(texts: &[String]) -> EmbedRequest {
    EmbedRequest { model: MODEL.into(), texts: texts.to_vec(), ..EmbedRequest::default() }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[tokio::test]
async fn vectors_are_those_of_sentence_transformers() {
    let expected: Vec<Value> = serde_json::from_str(EXPECTED).unwrap();
    let texts: Vec<String> = expected.iter().map(|case| case["text"].as_str().unwrap().to_owned()).collect();
    let found = models().embed(request(&texts)).await.unwrap();
    assert_eq!(found.model, MODEL);
    assert_eq!(found.vectors.len(), texts.len());
    for (case, vector) in expected.iter().zip(&found.vectors) {
        let expected: Vec<f32> = serde_json::from_value(case["vector"].clone()).unwrap();
        let cosine = dot(vector, &expected) / dot(&expected, &expected).sqrt();
        assert!(cosine > 0.9999, "{}: cosine {cosine}", case["text"]);
        assert!((dot(vector, vector) - 1.0).abs() < 1e-5, "a vector has length 1");
    }
}

#[tokio::test]
async fn a_text_has_the_same_vector_alone_and_among_many() {
    let models = models();
    let texts: Vec<String> = (0..40).map(|index| format!("Text {index}{}", " and more".repeat(index))).collect();
    let all = models.embed(request(&texts)).await.unwrap();
    let mut tokens = 0;
    for (text, vector) in texts.iter().zip(&all.vectors) {
        let alone = models.embed(request(std::slice::from_ref(text))).await.unwrap();
        assert!(dot(&alone.vectors[0], vector) > 0.999_999, "{text}");
        tokens += alone.usage.input_tokens;
    }
    assert_eq!(all.usage.input_tokens, tokens);
    assert_eq!(models.embed(request(&[])).await.unwrap().vectors, Vec::<Vec<f32>>::new());
}

#[tokio::test]
async fn missing_and_broken_weights_and_unknown_models_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let models = LocalModels::new(LocalConfig::new(folder.path()));
    let failure = models.embed(request(&["x".into()])).await.unwrap_err();
    assert_eq!(failure.code, codes::LOCAL_MISSING);
    assert_eq!(failure.hint.unwrap(), "run `liteagent models pull`: it downloads 83 MB once");

    // A file of the right size with wrong content; the model is tried again with each call.
    let own = folder.path().join("all-minilm-l6-v2");
    std::fs::create_dir_all(&own).unwrap();
    let good = weights::folder().join("all-minilm-l6-v2");
    std::fs::copy(good.join("tokenizer.json"), own.join("tokenizer.json")).unwrap();
    std::fs::File::create(own.join("model.safetensors")).unwrap().set_len(90_868_376).unwrap();
    assert!(weights::EMBEDDING.is_in(folder.path()));
    assert_eq!(models.embed(request(&["x".into()])).await.unwrap_err().code, codes::LOCAL_BROKEN);

    std::fs::remove_file(own.join("model.safetensors")).unwrap();
    std::fs::copy(good.join("model.safetensors"), own.join("model.safetensors")).unwrap();
    assert_eq!(models.embed(request(&["x".into()])).await.unwrap().vectors[0].len(), 384);

    assert_eq!(models.describe("local/gpt-9").unwrap_err().code, codes::LOCAL_UNKNOWN);
    assert_eq!(models.describe("all-minilm-l6-v2").unwrap_err().code, codes::LOCAL_UNKNOWN);
    let chat = EmbedRequest { model: "local/smollm2-135m-instruct".into(), ..request(&["x".into()]) };
    assert_eq!(models.embed(chat).await.unwrap_err().code, codes::LOCAL_UNABLE);
}
