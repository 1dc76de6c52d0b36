//! A node of a composite type, as the engine sees it: a container whose passes are those of its nodes.

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::Schema;
use serde_json::{Map, Value as Json, json};

use super::{Composite, Inner, field::Field};
use crate::{
    codes,
    definition::NodeMap,
    diagnostic::Severity,
    error::{ErrorClass, NodeError},
    node::{
        ConfigError, ConfigFinding, Effect, ErasedNode, FrameClose, FrameInfo, Known, NodeCtx, NodeFuture, Outcome,
        Registry, Resume,
    },
    plan::{STREAMED, lone_path},
    scope::{Roots, Scope},
    suggest,
    template::{Compiled, TemplateTree},
    types::{Misfit, Type},
    value::{Object, Value},
};

/// A configured composite.
struct CompositeNode {
    composite: Arc<Composite>,
    registry: Registry,
    config: Map<String, Json>,
    /// What its nodes see as `inputs`.
    inputs: Vec<(Arc<str>, Input)>,
    /// With `loop`: the node that repeats.
    rounds: Option<Arc<dyn ErasedNode>>,
    outputs: Vec<(Arc<str>, TemplateTree)>,
    /// The text of its body that its output `text` is, by way of the state of a round.
    text: Option<Compiled>,
}

/// A field that the nodes see.
enum Input {
    /// Rendered when the node starts, and held to its type where it has one.
    Given(TemplateTree, Option<Type>),
    /// What stands in, or a value that the author wrote without templates.
    Known(Value),
}

/// Builds a node of a composite type.
pub(super) fn build(
    composite: &Arc<Composite>,
    registry: &Registry,
    config: Json,
) -> Result<Arc<dyn ErasedNode>, ConfigError> {
    let Json::Object(config) = config else {
        return Err(ConfigError::new(codes::INVALID_CONFIG, "", "expected fields by name"));
    };
    if let Some(unknown) = config.keys().find(|key| !composite.fields.contains_key(*key)) {
        let known = composite.fields.keys().map(String::as_str);
        let error = ConfigError::new(codes::INVALID_CONFIG, "", format!("unknown field `{unknown}`"));
        return Err(match suggest::hint(unknown, known) {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    let mut inputs = Vec::new();
    for (name, field) in &composite.fields {
        let given = config.get(name).filter(|value| !value.is_null());
        if given.is_none() && field.required {
            return Err(ConfigError::new(codes::INVALID_CONFIG, "", format!("missing field `{name}`")));
        }
        if field.is_value() {
            inputs.push((name.as_str().into(), input(name, field, given)?));
        }
    }
    let rounds = composite.def.rounds.is_some().then(|| {
        let expansion = composite.expand(&config, &[]);
        let spec = registry.get("loop");
        let spec =
            spec.ok_or_else(|| ConfigError::new(codes::UNKNOWN_NODE_TYPE, "", "there is no node type `loop`"))?;
        let mut fields = expansion.view["nodes"]["rounds"].clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("type");
        }
        (spec.build)(fields).map_err(|error| inside(composite, "loop", &error))
    });
    let outputs = composite.def.outputs.iter();
    Ok(Arc::new(CompositeNode {
        rounds: rounds.transpose()?,
        outputs: outputs.map(|(name, output)| (name.as_str().into(), output.value.clone())).collect(),
        text: text_of_body(composite),
        composite: composite.clone(),
        registry: registry.clone(),
        config,
        inputs,
    }))
}

/// The template that gives the output `text` as the body sees it: that of the output, or, when it is a variable of the
/// state of its rounds, that of `next`.
fn text_of_body(composite: &Composite) -> Option<Compiled> {
    let text = composite.def.outputs.get(STREAMED)?.value.lone()?;
    let Some(rounds) = &composite.def.rounds else { return Some(text.clone()) };
    let (root, variable) = lone_path(text)?;
    if &*root != "state" {
        return Some(text.clone());
    }
    Compiled::new(rounds.get("next")?.get(&*variable)?.as_str()?).ok()
}

fn input(name: &str, field: &Field, given: Option<&Json>) -> Result<Input, ConfigError> {
    let Some(given) = given else {
        return Ok(Input::Known(field.default.clone().map(Value::from).unwrap_or_default()));
    };
    let at = format!("/{name}");
    let value = Value::from(given.clone());
    if let (true, Some(ty)) = (field.is_static, field.kind.ty()) {
        let fitted = ty.fit(value).map_err(|misfits| {
            let misfit = misfits.into_iter().next();
            let (below, message) = misfit.map(|misfit| (misfit.pointer, misfit.message)).unwrap_or_default();
            ConfigError::new(codes::INVALID_CONFIG, format!("{at}{below}"), message)
        })?;
        return Ok(Input::Known(fitted));
    }
    let tree = TemplateTree::new(value).map_err(|findings| {
        let message = findings.into_iter().next().map(|finding| finding.message).unwrap_or_default();
        ConfigError::new(codes::INVALID_CONFIG, at, message)
    })?;
    Ok(Input::Given(tree, field.kind.ty().cloned()))
}

/// A fault of a node inside, which the author of the fields cannot see.
fn inside(composite: &Composite, node: &str, error: &ConfigError) -> ConfigError {
    let message = format!("`{node}`, inside of `{}`: {}", composite.name(), error.message);
    let outer = ConfigError::new(codes::COMPOSITE_INSIDE, "", message);
    match &error.hint {
        Some(hint) => outer.hint(hint),
        None => outer,
    }
}

impl CompositeNode {
    fn fields(&self, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        let mut fields = Object::default();
        for (name, input) in &self.inputs {
            let value = match input {
                Input::Known(value) => value.clone(),
                Input::Given(tree, ty) => {
                    let value = tree.render(scope)?;
                    match ty {
                        Some(ty) => ty.fit(value).map_err(|misfits| misfit(name, &misfits))?,
                        None => value,
                    }
                }
            };
            fields.insert(name.clone(), value);
        }
        Ok(Value::Object(Arc::new(fields)))
    }

    /// The findings about its nodes that its fields are to blame for, at those fields.
    fn findings(&self, known: &Known) -> Vec<ConfigFinding> {
        let (nodes, placed) = self.composite.inner(&self.config, &self.registry);
        let mut findings = Vec::new();
        for inner in nodes {
            let found = match &inner.node {
                Ok(node) => node.check(known),
                Err(error) => vec![ConfigFinding { severity: Severity::Error, error: error.clone() }],
            };
            for ConfigFinding { severity, error } in found {
                let pointer = format!("{}{}", inner.pointer, error.field);
                let field = placed.iter().find_map(|placed| {
                    let below = pointer.strip_prefix(&placed.pointer)?;
                    (below.is_empty() || below.starts_with('/')).then(|| format!("/{}{below}", placed.field))
                });
                match field {
                    Some(field) => findings.push(ConfigFinding { severity, error: ConfigError { field, ..error } }),
                    None if severity == Severity::Error => {
                        let id = inner.pointer.rsplit('/').next().unwrap_or_default();
                        findings.push(ConfigFinding { severity, error: inside(&self.composite, id, &error) });
                    }
                    None => {}
                }
            }
        }
        findings
    }

    fn composed(fields: &Value, scope: &Scope) -> Arc<Scope> {
        let roots =
            Roots { inputs: fields.clone(), env: Value::object(), trigger: Value::Null, sys: scope.roots.sys.clone() };
        Arc::new(Scope {
            roots: Arc::new(roots),
            nodes: Vec::new(),
            locals: Vec::new(),
            conversation: scope.conversation.clone(),
            now: scope.now,
            attempt: scope.attempt,
            usage: scope.usage.clone(),
            secrets: Value::Null,
        })
    }
}

fn misfit(name: &str, misfits: &[Misfit]) -> NodeError {
    let line = |misfit: &Misfit| format!("`{name}{}`: {}", misfit.pointer.replace('/', "."), misfit.message);
    let all: Vec<_> = misfits.iter().map(line).collect();
    NodeError::new(codes::FIELD_MISFIT, ErrorClass::Invalid, all.join("; "))
}

impl ErasedNode for CompositeNode {
    fn ports(&self) -> Vec<String> {
        Vec::new()
    }

    fn output_schema(&self) -> Schema {
        let mut schema = self.composite.output_schema.clone();
        for (name, output) in &self.composite.def.outputs {
            let Some(types) = output.returns.as_ref().and_then(|field| self.config.get(field)?.as_object()) else {
                continue;
            };
            let typed = types.iter().filter_map(|(name, ty)| Some((name.clone(), Type::new(ty.clone()).ok()?)));
            let typed: IndexMap<String, Type> = typed.collect();
            let properties: Map<_, _> = typed.iter().map(|(name, ty)| (name.clone(), ty.schema().into())).collect();
            let required: Vec<_> = typed.iter().filter(|(_, ty)| !ty.is_optional()).map(|(name, _)| name).collect();
            if let Some(rules) = schema.pointer_mut(&format!("/properties/{name}")) {
                *rules = json!({
                    "description": output.description.trim(),
                    "type": "object",
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                });
            }
        }
        schema
    }

    fn effect(&self) -> Effect {
        Effect::Pure
    }

    fn acts(&self) -> bool {
        let (nodes, _) = self.composite.inner(&self.config, &self.registry);
        nodes.iter().any(|inner| inner.node.as_ref().is_ok_and(|node| node.acts()))
    }

    fn branches(&self) -> IndexMap<String, NodeMap> {
        IndexMap::new()
    }

    fn inner_text(&self) -> Option<(&str, &Compiled)> {
        self.text.as_ref().map(|text| (STREAMED, text))
    }

    fn inner(&self, registry: &Registry) -> Vec<Inner> {
        self.composite.inner(&self.config, registry).0
    }

    fn check(&self, known: &Known) -> Vec<ConfigFinding> {
        self.findings(known)
    }

    fn run<'a>(&'a self, ctx: &'a NodeCtx) -> NodeFuture<'a> {
        Box::pin(async move {
            let fields = self.fields(&ctx.scope)?;
            let Some(rounds) = &self.rounds else { return Ok(Outcome::Composite { fields, state: None }) };
            let ctx = NodeCtx { scope: Self::composed(&fields, &ctx.scope), ..ctx.clone() };
            match rounds.run(&ctx).await? {
                Outcome::Rounds { state } => Ok(Outcome::Composite { fields, state: Some(state) }),
                other => Err(NodeError::internal(format!("expected the rounds of a loop, found {other:?}"))),
            }
        })
    }

    fn resume<'a>(&'a self, _: &'a NodeCtx, _: Resume) -> NodeFuture<'a> {
        Box::pin(async { Err(NodeError::internal("a composite waits for its nodes alone")) })
    }

    fn close_frame(&self, scope: &Arc<Scope>, frame: FrameInfo) -> Result<FrameClose, NodeError> {
        if let Some(rounds) = &self.rounds {
            return rounds.close_frame(scope, frame);
        }
        let outputs = self.outputs.iter().map(|(name, value)| Ok((name.clone(), value.render(scope)?)));
        Ok(FrameClose::Last(Vec::new(), Value::from_pairs(outputs.collect::<Result<Vec<_>, NodeError>>()?)))
    }
}
