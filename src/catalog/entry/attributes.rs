//! What is written beside the head of an entry: keys that any entry may have, and the attributes of its kind, each typed by the
//! kind's table. What a secret went into is noted here.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::{Around, Builder, COMMON, Draft, Watched, attribute_names, without_secrets};
use crate::base::diagnostic::Diagnostic;
use crate::base::value::Value;
use crate::catalog::params::first_line;
use crate::catalog::render::Trouble;
use crate::catalog::scope::{Trace, decoyed, touch_secret, traced};
use crate::catalog::secrets::ENCRYPTED;
use crate::catalog::yaml::{Data, Key, Node};
use crate::catalog::{matchers, spelling, tree};
use crate::resource::content::Taint;
use crate::resource::want::{Severity, State, Want};
use crate::resource::{Attribute, Content, Refresh, Resource, Side, Type};

impl Builder<'_> {
    pub(super) fn common(&mut self, key: &Key, node: &Node, around: &Around, draft: &mut Draft) -> Result<(), Trouble> {
        let resource = &mut draft.resource;
        let table = resource.kind.table();
        let word = |words: &'static [&'static str]| self.value(node, &Type::Enum(words), &key.text, around);
        match key.text.as_str() {
            "when" | "each" => {}
            "id" => resource.id = self.text(node, "id", around)?,
            "tags" => resource.tags.extend(self.tags(node, around)?),
            "sensitive" => {
                let value = self.value(node, &Type::Bool, "sensitive", around)?;
                resource.sensitive = value.and_then(|value| value.as_bool()).unwrap_or(false);
            }
            "state" if !table.has_state => {
                return Err(Diagnostic::error(&key.span, format!("`{}` has no `state`", table.name))
                    .hint(format!("its attributes: {}", attribute_names(resource.kind).join(", ")))
                    .into());
            }
            "state" => {
                if word(&["present", "absent"])?.and_then(|value| value.as_text().map(|text| text == "absent"))
                    == Some(true)
                {
                    resource.state = State::Absent;
                }
            }
            "severity" => {
                const WORDS: &[&str] = &["info", "low", "medium", "high", "critical"];
                let value = word(WORDS)?;
                let known =
                    Severity::ALL.iter().find(|(name, _)| value.as_ref().and_then(Value::as_text) == Some(name));
                resource.severity = known.map_or(Severity::default(), |(_, severity)| *severity);
            }
            "within" if !self.is_spec => {
                return Err(Diagnostic::error(&key.span, "`within` belongs into a spec")
                    .hint("it says how long a check may take to hold")
                    .into());
            }
            "within" => {
                let seconds = self.value(node, &Type::Duration, "within", around)?.and_then(|value| value.as_int());
                resource.within = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
            }
            other => {
                let known = attribute_names(resource.kind).into_iter().chain(COMMON.iter().copied());
                return Err(
                    Diagnostic::unknown(&key.span, &format!("attribute of {}", table.name), other, known).into()
                );
            }
        }
        Ok(())
    }

    pub(super) fn attribute(
        &mut self,
        attribute: &'static Attribute,
        key: &Key,
        node: &Node,
        around: &Around,
        draft: &mut Draft,
        tree: &mut Option<String>,
    ) -> Result<(), Trouble> {
        let kind = draft.resource.kind.table();
        match (attribute.side, self.is_spec) {
            (Side::Act, true) => {
                let message = format!("`{}` of {} says how to act, and a spec does not act", key.text, kind.name);
                return Err(Diagnostic::error(&key.span, message).hint("it belongs into the role's resources").into());
            }
            (Side::Check, false) => {
                let message = format!("`{}` of {} can only be checked, not brought about", key.text, kind.name);
                return Err(Diagnostic::error(&key.span, message).hint("it belongs into a spec's checks").into());
            }
            _ => {}
        }
        if attribute.ty == Type::Watch {
            return self.watched(attribute, node, around, draft);
        }
        let is_content = matches!(attribute.ty, Type::Content | Type::Template | Type::Source);
        let content = kind.attributes.iter().find(|attribute| attribute.ty == Type::Content).unwrap_or(attribute);
        let target = if is_content { content } else { attribute };
        if let Some(other) = draft.places.get(target.name).filter(|_| is_content) {
            return Err(Diagnostic::error(&key.span, format!("`{}` says what the content is a second time", key.text))
                .related(other, "said here first")
                .hint("keep one of content, template and source")
                .into());
        }
        draft.places.insert(target.name, key.span.clone());
        let want = if matchers::is_matcher(node, &attribute.ty) {
            if !self.is_spec || !attribute.is_compared() {
                let message = format!("`{}` takes a value here, not a map", key.text);
                return Err(Diagnostic::error(&first_line(&node.span), message)
                    .hint("matchers such as `contains` belong into a spec")
                    .into());
            }
            let typed = |node: &Node, ty: &Type| self.value(node, ty, attribute.name, around);
            Some(Want::Matches(matchers::read(node, attribute, &typed)?))
        } else if is_content {
            self.content(attribute, node, around, draft.resource.sensitive, tree)?
        } else {
            self.value(node, &attribute.ty, attribute.name, around)?.map(Want::Exactly)
        };
        match want {
            Some(want) => drop(draft.resource.wants.insert(target.name, want)),
            None => drop(draft.places.shift_remove(target.name)),
        }
        Ok(())
    }

    pub(super) fn watched(
        &self,
        attribute: &'static Attribute,
        node: &Node,
        around: &Around,
        draft: &mut Draft,
    ) -> Result<(), Trouble> {
        let refresh = match attribute.name {
            "reload_on" => Refresh::Reload,
            "restart_on" => Refresh::Restart,
            _ => Refresh::Run,
        };
        let nodes = match &node.data {
            Data::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut texts = Vec::new();
        for node in nodes {
            let Some(value) = self.value(node, &Type::List(&Type::Text), attribute.name, around)? else { continue };
            let items = value.as_list().unwrap_or_default().iter().filter_map(Value::as_text);
            texts.extend(items.map(|text| (text.to_owned(), node.span.clone())));
        }
        draft.places.insert(attribute.name, node.span.clone());
        let list = Value::List(texts.iter().map(|(text, _)| Value::from(text.as_str())).collect());
        draft.resource.wants.insert(attribute.name, Want::Exactly(list));
        draft.watched.extend(texts.into_iter().map(|(target, span)| Watched { refresh, target, span }));
        Ok(())
    }

    /// The content that an attribute of that sort says.
    pub(super) fn content(
        &self,
        attribute: &Attribute,
        node: &Node,
        around: &Around,
        sensitive: bool,
        tree: &mut Option<String>,
    ) -> Result<Option<Want>, Trouble> {
        let takes_content = tree::takes_content(self.kinds, attribute);
        let is_encrypted = Cell::new(false);
        let mut bytes = || -> Result<Option<Arc<[u8]>>, Trouble> {
            let (text, trace) = traced(|| self.text(node, attribute.name, around));
            if attribute.ty != Type::Content {
                without_secrets(&trace, attribute.name, &node.span)?;
            }
            let Some(text) = text? else { return Ok(None) };
            match attribute.ty {
                Type::Template => {
                    if self.is_static {
                        spelling::template(self.engine, self.role, &text, &node.span, &around.scope)?;
                    }
                    if let Some(why) = self.role.files.unreadable.get(&format!("templates/{text}")) {
                        return Err(
                            Diagnostic::error(&node.span, format!("templates/{text} cannot be used: {why}")).into()
                        );
                    }
                    self.engine.template(&text, &node.span, &around.scope).map(|bytes| Some(bytes.into()))
                }
                Type::Source => match tree::find(self.role, &text, &node.span)? {
                    tree::Found::File(name, _) if self.is_static && name.ends_with(ENCRYPTED) => Err(Trouble::Unknown),
                    tree::Found::File(name, bytes) if name.ends_with(ENCRYPTED) => {
                        is_encrypted.set(true);
                        let file = (self.open)(&name, &bytes, &node.span)?;
                        touch_secret(&file.secret);
                        Ok(Some(file.bytes))
                    }
                    tree::Found::File(_, bytes) => Ok(Some(bytes)),
                    tree::Found::Folder(_) if takes_content => {
                        Err(Diagnostic::error(&node.span, "this is a folder, and a file is expected").into())
                    }
                    tree::Found::Folder(folder) => {
                        *tree = Some(folder);
                        Ok(None)
                    }
                },
                _ => Ok(Some(text.into_bytes().into())),
            }
        };
        let (made, trace) = traced(&mut bytes);
        let made = made?;
        if trace.secrets.is_empty() {
            return Ok(made.map(|bytes| Want::Content(Content::new(bytes, sensitive))));
        }
        // A filter may not be able to do anything with the stand-in of a secret.
        let decoy = if is_encrypted.get() { None } else { decoyed(&mut bytes).ok().flatten() };
        Ok(made.map(|bytes| Want::Content(Content::tainted(bytes, Taint { secrets: trace.secrets, decoy }))))
    }

    pub(super) fn tags(&self, node: &Node, around: &Around) -> Result<Vec<String>, Trouble> {
        let value = self.value(node, &Type::List(&Type::Text), "tags", around)?;
        let tags = value.as_ref().and_then(Value::as_list).unwrap_or_default();
        Ok(tags.iter().filter_map(Value::as_text).map(str::to_owned).collect())
    }
}

/// Notes that secrets went into an attribute, if they may.
pub(super) fn taint(
    attribute: Option<&'static Attribute>,
    key: &Key,
    node: &Node,
    trace: &Trace,
    resource: &mut Resource,
) -> Result<(), Trouble> {
    if trace.secrets.is_empty() {
        return Ok(());
    }
    let is_content = attribute.is_some_and(|own| matches!(own.ty, Type::Content | Type::Template | Type::Source));
    // Content knows of its secrets itself; a matcher on content does not.
    let is_matcher =
        || attribute.and_then(|own| resource.wants.get(own.name)).is_some_and(|want| matches!(want, Want::Matches(_)));
    if is_content && !is_matcher() {
        return Ok(());
    }
    if !is_content && !attribute.is_some_and(|own| own.takes_secret) {
        without_secrets(trace, &key.text, &first_line(&node.span))?;
    }
    if let Some(own) = attribute {
        resource.secrets.entry(own.name).or_default().extend(trace.secrets.iter().cloned());
    }
    Ok(())
}
