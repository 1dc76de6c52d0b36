//! The pages of a list, one after the other.

use std::collections::HashSet;

use liteagent_engine::{capability::HttpCall, node::prelude::*};
use url::Url;

use super::{HttpRequest, Paginate, answer::Answer, request};
use crate::egress::{keep_harmless, read_url, same_origin};

/// All pages together may be so many times as large as one answer.
const PAGES_SHARE: u64 = 10;

/// Asks for every page; gives the last answer and the items of all.
pub(super) async fn gather(
    node: &HttpRequest,
    ctx: &NodeCtx,
    paginate: &Paginate,
    first: HttpCall,
) -> Result<(Answer, Vec<Value>), NodeError> {
    let home = read_url(&first.url, None)?;
    let asked = request::shown(&first);
    let mut seen = HashSet::from([home.to_string()]);
    let mut items = Vec::new();
    let whole = Size(node.config.max_size.0.saturating_mul(PAGES_SHARE));
    let mut size = 0;
    let mut call = first.clone();
    for page in 1..=paginate.max_pages {
        let (answer, url) = node.ask(ctx, call).await?;
        size += answer.size;
        if size > whole.0 {
            let message = format!("the pages of {asked} are larger than {whole} together");
            return Err(NodeError::new(codes::HTTP_TOO_LARGE, ErrorClass::LimitExceeded, message)
                .hint("ask for fewer items, or raise `max_size`: all pages together may have ten times as much"));
        }
        let scope = page_scope(ctx, &answer, &url);
        items.extend_from_slice(page_items(paginate, &scope, &asked)?.as_slice());
        let Some(next) = next_url(paginate, &scope, &url)? else {
            return Ok((answer, items));
        };
        if !seen.insert(next.to_string()) {
            return Err(failed(format!("page {page} of {asked} leads to a page that was read already"))
                .hint("let `paginate.next` give `null` after the last page"));
        }
        call = following(&first, &home, &next, page + 1);
    }
    Err(failed(format!("{asked} has more than {} pages", paginate.max_pages))
        .hint("raise `paginate.max_pages`, or ask for larger pages"))
}

fn page_scope(ctx: &NodeCtx, answer: &Answer, url: &str) -> Arc<Scope> {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str())));
    let page = Value::from_pairs([
        ("status", Value::from(u64::from(answer.status))),
        ("headers", Value::from_pairs(headers)),
        ("json", answer.json.clone()),
        ("body", Value::from(answer.body.as_str())),
        ("url", Value::from(url)),
    ]);
    Arc::new(ctx.scope.with_locals([("page", page)]))
}

fn page_items(paginate: &Paginate, scope: &Arc<Scope>, asked: &str) -> Result<Arc<Vec<Value>>, NodeError> {
    match paginate.items.render(scope)? {
        Value::List(items) => Ok(items),
        other => {
            let message = format!("expected a list of items from a page of {asked}, found {}", other.kind());
            Err(NodeError::new(codes::HTTP_ANSWER, ErrorClass::Invalid, message)
                .hint("let `paginate.items` give a list: \"{{ page.json.items }}\""))
        }
    }
}

fn next_url(paginate: &Paginate, scope: &Arc<Scope>, url: &str) -> Result<Option<Url>, NodeError> {
    match paginate.next.render(scope)? {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => read_url(&text, Some(&read_url(url, None)?)).map(Some),
        other => {
            let message = format!("expected the URL of the next page or `null`, found {}", other.kind());
            Err(NodeError::new(codes::HTTP_URL, ErrorClass::Invalid, message)
                .hint("let `paginate.next` give a URL: \"{{ page.headers.link | next_link }}\""))
        }
    }
}

/// The request for a further page. Another origin gets no credentials, and no page the idempotency key of another.
fn following(first: &HttpCall, home: &Url, next: &Url, page: u32) -> HttpCall {
    let mut call = HttpCall { url: next.to_string(), ..first.clone() };
    if !same_origin(home, next) {
        call.headers = keep_harmless(call.headers);
    }
    for (name, value) in &mut call.headers {
        if name.eq_ignore_ascii_case("idempotency-key") {
            value.push_str(&format!("-{page}"));
        }
    }
    call
}

fn failed(message: String) -> NodeError {
    NodeError::new(codes::HTTP_PAGES, ErrorClass::LimitExceeded, message)
}
