//! YAML text as a tree that knows where everything stands.
//!
//! Scalars keep their written text: what `4` or `no` or `1.10` means is decided by whoever knows the wanted type, never here.

use crate::base::span::Span;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub data: Data,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Text.
    Scalar(Scalar),
    /// Items in order.
    List(Vec<Node>),
    /// Entries in written order; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text: of a plain scalar exactly as written (`0644`, `1.10`, `no`, empty), of a quoted or block scalar its content.
    pub text: String,
    /// Whether it was quoted (or a block scalar), and so cannot be meant as anything but text.
    pub quoted: bool,
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key's text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}
