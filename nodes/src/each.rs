//! One scope for many items.

use liteagent_engine::node::prelude::*;

/// How many items are rendered before others may run: well below 500 µs.
const PIECE: u32 = 128;

/// Gives templates `item` and `index`, without a new scope for each item.
pub(crate) struct Each {
    scope: Arc<Scope>,
    index: u32,
}

impl Each {
    pub(crate) fn new(ctx: &NodeCtx) -> Self {
        let scope = ctx.scope.with_locals([("item", Value::Null), ("index", Value::Null)]);
        Self { scope: Arc::new(scope), index: 0 }
    }

    /// The scope of the next item. Lets others run from time to time.
    pub(crate) async fn next(&mut self, item: &Value) -> &Arc<Scope> {
        if self.index % PIECE == PIECE - 1 {
            tokio::task::yield_now().await;
        }
        let locals = [("item", item.clone()), ("index", Value::from(u64::from(self.index)))];
        self.index += 1;
        match Arc::get_mut(&mut self.scope) {
            Some(scope) => {
                let own = scope.locals.len() - locals.len();
                for ((_, slot), (_, value)) in scope.locals[own..].iter_mut().zip(locals) {
                    *slot = value;
                }
            }
            // Something that was rendered still holds the scope.
            None => self.scope = Arc::new(self.scope.with_locals(locals)),
        }
        &self.scope
    }
}
