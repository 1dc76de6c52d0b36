//! What is inside of nodes whose bodies do not stand in the file: composites, and calls of tools.

use serde_json::json;

use super::{
    Border, CompileError, Compiler, Container, ErasedNode, Expansion, NodeInfo, Passes, Placed, ScopeRead,
    WorkflowGraph, node_map,
};

impl Compiler<'_> {
    /// The fields of an author that were placed in this node, as the composite in which it stands sees them.
    pub(super) fn placed_in(&self, info: &NodeInfo) -> Vec<Placed> {
        let mut all = Vec::new();
        for placed in self.placed {
            if let Some(below) = placed.pointer.strip_prefix(&info.pointer).filter(|below| below.starts_with('/')) {
                all.push(Placed { pointer: below.to_owned(), ..placed.clone() });
            }
        }
        all
    }

    /// The body of a composite, and what its outputs read. Nothing around it is in sight.
    pub(super) fn composite(
        &mut self,
        info: &NodeInfo,
        expansion: &Expansion,
    ) -> Result<(Option<Passes>, Vec<ScopeRead>), CompileError> {
        let graph = WorkflowGraph::placed(&expansion.view, self.registry, &expansion.placed);
        let mut compiler = Compiler {
            registry: self.registry,
            bodies: std::mem::take(&mut self.bodies),
            outer: Vec::new(),
            placed: &expansion.placed,
        };
        let made = compiler.inside(info, expansion, &graph);
        self.bodies = compiler.bodies;
        let (passes, reads) = made?;
        Ok((Some(passes), reads))
    }

    /// The bodies of a container of calls: one for each tool, whose nodes are tied by `needs` alone.
    pub(super) fn calls(&mut self, info: &NodeInfo, node: &dyn ErasedNode) -> Result<Passes, CompileError> {
        // The tools may be those of an author whose node stands composites further out.
        let out = self.placed.iter().find(|placed| info.tools.contains(&placed.pointer)).map_or(0, |placed| placed.out);
        let mut bodies = Vec::new();
        for (tool, nodes) in node.branches() {
            let mut graph = WorkflowGraph::new(&json!({ "nodes": nodes }), self.registry);
            for node in &mut graph.body.nodes {
                // What their templates see is what the author's node sees: it waited for all of that.
                node.reads.clear();
            }
            let mut compiler = Compiler {
                registry: self.registry,
                bodies: std::mem::take(&mut self.bodies),
                outer: Vec::new(),
                placed: &[],
            };
            let made = compiler.body(&nodes, &graph.body, None, Border::Call { out });
            self.bodies = compiler.bodies;
            let body = made?;
            for node in self.bodies[body].graph.node_weights_mut() {
                node.reads.clear();
            }
            bodies.push((Some(tool.into()), body));
        }
        Ok(Passes { kind: Container::Calls, bodies })
    }
}

impl<'a> Compiler<'a> {
    fn inside(
        &mut self,
        info: &NodeInfo,
        expansion: &Expansion,
        graph: &'a WorkflowGraph,
    ) -> Result<(Passes, Vec<ScopeRead>), CompileError> {
        let (kind, body, inner) = match graph.body.nodes.first().filter(|_| expansion.is_loop) {
            Some(rounds) => (Container::Rounds, rounds.body.as_deref().unwrap_or(&graph.body), &rounds.inner),
            None => (Container::Once, &graph.body, &graph.outputs),
        };
        let nodes = node_map(&info.id, expansion.nodes())?;
        let at = self.body(&nodes, body, None, Border::Composite)?;
        let reads = self.scope_reads(&info.id, inner.iter(), body)?;
        Ok((Passes { kind, bodies: vec![(None, at)] }, reads))
    }
}
