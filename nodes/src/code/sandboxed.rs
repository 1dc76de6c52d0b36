//! From a call of a `code` node to a request of the sandbox, and from its reply back.

use std::{fmt, future::Future};

use async_trait::async_trait;
use liteagent_engine::{
    capability::{Code, CodeCall, CodeFailure, CodeLimits, CodeReply},
    error::{self, ErrorClass, NodeError},
    value::Value,
};
use liteagent_sandbox_protocol::{Class, Failure, Fault, Language, Limit, Limits, Reply, Request, Success};

use super::size::{SMALL, is_small};

/// Runs the code of `code` nodes with whatever answers requests of the sandbox: one in this process, or elsewhere.
pub struct Sandboxed<R>(R);

impl<R, F> Sandboxed<R>
where
    R: Fn(Request) -> F + Send + Sync,
    F: Future<Output = Reply> + Send,
{
    /// Sends requests to `run`.
    pub fn new(run: R) -> Self {
        Self(run)
    }
}

impl<R> fmt::Debug for Sandboxed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sandboxed")
    }
}

#[async_trait]
impl<R, F> Code for Sandboxed<R>
where
    R: Fn(Request) -> F + Send + Sync,
    F: Future<Output = Reply> + Send,
{
    async fn run(&self, call: CodeCall) -> Result<CodeReply, Box<CodeFailure>> {
        let request = if is_small(&call.inputs) { request(&call) } else { aside(move || request(&call)).await? }?;
        match (self.0)(request).await {
            Ok(success) if success.outputs.get().len() <= SMALL => reply(success),
            Ok(success) => aside(move || reply(success)).await?,
            Err(failure) => Err(self::failure(*failure)),
        }
    }
}

/// Computes beside the executor, which must not stand still.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NodeError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| NodeError::internal(format!("reading or writing values of code broke off: {error}")))
}

fn request(call: &CodeCall) -> Result<Request, Box<CodeFailure>> {
    let language: Language = call.language.parse().map_err(|error| NodeError::internal(format!("{error}")))?;
    let CodeLimits { wall, cpu, memory, output } = call.limits;
    let limits = Limits {
        wall_ms: wall.map(|wall| wall.0.as_millis() as u64),
        cpu_ms: cpu.map(|cpu| cpu.0.as_millis() as u64),
        memory: memory.map(|memory| memory.0),
        output: output.map(|output| output.0),
        log: None,
    };
    let request = Request::new(language, &*call.code).with_limits(limits).with_inputs(&call.inputs);
    Ok(request.map_err(|error| NodeError::internal(format!("the inputs have no JSON form: {error}")))?)
}

fn reply(success: Success) -> Result<CodeReply, Box<CodeFailure>> {
    let Success { outputs, stdout, stderr, usage: _ } = success;
    match serde_json::from_str::<Value>(outputs.get()) {
        Ok(outputs) => Ok(CodeReply { outputs, stdout, stderr }),
        Err(error) => {
            let text = error.to_string();
            let why = text.split(" at line ").next().unwrap_or_default();
            let error = NodeError::new(
                liteagent_engine::codes::CODE_OUTPUTS,
                ErrorClass::Invalid,
                format!("what `main` returned cannot be its outputs: {why}"),
            );
            Err(Box::new(CodeFailure { error, stdout, stderr, traceback: None }))
        }
    }
}

fn failure(failure: Failure) -> Box<CodeFailure> {
    let Failure { error: fault, stdout, stderr, usage: _ } = failure;
    let mut error = NodeError::new(error::Code(fault.kind.code()), class(fault.class), &fault.message);
    error.hint = fault.hint.as_deref().map(str::to_owned).or_else(|| advice(&fault));
    Box::new(CodeFailure { error, stdout, stderr, traceback: fault.traceback.map(String::from) })
}

/// What to do where the sandbox, which does not know of nodes, does not say.
fn advice(fault: &Fault) -> Option<String> {
    Some(match fault.limit? {
        limit @ (Limit::Wall | Limit::Cpu | Limit::Memory | Limit::Output) => {
            format!("let the code do less, or raise `limits.{limit}` of the node")
        }
        Limit::Log => "print less: what code prints is for people".to_owned(),
        Limit::Input => "pass less, for example an item at a time with `iteration`".to_owned(),
    })
}

fn class(class: Class) -> ErrorClass {
    match class {
        Class::Invalid => ErrorClass::Invalid,
        Class::Forbidden => ErrorClass::Forbidden,
        Class::RateLimited => ErrorClass::RateLimited,
        Class::Timeout => ErrorClass::Timeout,
        Class::LimitExceeded => ErrorClass::LimitExceeded,
        Class::Unavailable => ErrorClass::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use liteagent_engine::{
        units::{Duration, Size},
        value,
    };
    use liteagent_sandbox_protocol::{Kind, Usage};

    use super::*;

    fn call(inputs: Value) -> CodeCall {
        let limits =
            CodeLimits { wall: Some(Duration::from_secs(2)), memory: Some(Size(1 << 26)), ..CodeLimits::default() };
        CodeCall { language: "javascript", code: Arc::from("function main() {}"), inputs, limits }
    }

    fn answers(outputs: String) -> impl Code {
        Sandboxed::new(move |_| {
            let outputs = serde_json::value::RawValue::from_string(outputs.clone()).unwrap();
            async { Ok(Success { outputs, stdout: "said".into(), stderr: String::new(), usage: Usage::default() }) }
        })
    }

    #[tokio::test]
    async fn a_call_is_a_request_whatever_its_size() {
        for text in ["short".to_owned(), "long".repeat(SMALL)] {
            let inputs = value!({ "text": text });
            let expected = inputs.to_string();
            let code = Sandboxed::new(|request: Request| {
                let limits = Limits { wall_ms: Some(2_000), memory: Some(1 << 26), ..Limits::default() };
                assert_eq!((request.language, request.limits), (Language::JavaScript, limits));
                let outputs = request.inputs;
                async { Ok(Success { outputs, stdout: String::new(), stderr: String::new(), usage: Usage::default() }) }
            });
            assert_eq!(code.run(call(inputs)).await.unwrap().outputs.to_string(), expected);
        }
    }

    #[tokio::test]
    async fn outputs_that_are_no_value_are_a_failure_that_keeps_what_was_printed() {
        let failure = answers(r#"{"a": 1, "a": 2}"#.into()).run(call(Value::object())).await.unwrap_err();
        assert_eq!(failure.error.message, "what `main` returned cannot be its outputs: the key `a` stands twice");
        assert_eq!((failure.error.code.0, &*failure.stdout), ("LA2305", "said"));
    }

    #[tokio::test]
    async fn a_fault_keeps_code_class_hint_and_traceback() {
        let run = |fault: Fault| async {
            let code = Sandboxed::new(move |_| {
                let failure = Failure { stdout: "one\n".into(), ..Failure::before(fault.clone()) };
                async { Err(Box::new(failure)) }
            });
            *code.run(call(Value::object())).await.unwrap_err()
        };
        let fault = Fault {
            traceback: Some("Traceback".into()),
            ..Fault::new(Kind::Exception, "ValueError: no").hint("say yes")
        };
        let failure = run(fault).await;
        assert_eq!((failure.error.code.0, failure.error.class), ("LA2301", ErrorClass::Invalid));
        assert_eq!((&*failure.error.message, failure.error.hint.as_deref()), ("ValueError: no", Some("say yes")));
        assert_eq!((&*failure.stdout, failure.traceback.as_deref()), ("one\n", Some("Traceback")));

        let failure = run(Fault::limit(Limit::Cpu, "too long")).await;
        assert_eq!((failure.error.code.0, failure.error.class), ("LA2306", ErrorClass::Timeout));
        assert_eq!(failure.error.hint.as_deref(), Some("let the code do less, or raise `limits.cpu` of the node"));
    }
}
