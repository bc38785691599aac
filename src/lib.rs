//! # snowmelt: a guided tour
//!
//! snowmelt keeps Linux servers as they were declared, and finds the ones that have drifted. It reaches them over SSH, needs
//! nothing on them but `sh` and the usual base tools, and compares everything it was told about a host in one exchange.
//!
//! ## How a run flows
//!
//! ```text
//! files ──load──▶ model ──resolve──▶ catalog ──compose──▶ script ══transport══▶ frames ──read──▶ observations
//!                                       │                                                           │
//!                                       └──────────────────────────judge────────────────────────────┘
//!                                                                    │
//!                     report ◀── results ◀══ transport ══ act: one archive of guarded steps, then the next observation
//! ```
//!
//! ## The floors
//!
//! A floor imports only from those below it; `tests/tidy.rs` fails when that does not hold. From the top:
//!
//! - [`cli`]: one file per verb: arguments in, exit code out. The only place that prints, or reads the environment.
//! - [`report`]: results become bytes: text, JSON, JUnit. Never writes, never sees the run.
//! - [`verbs`]: the flows: plan, apply, verify, run; many hosts at a time. Asynchronous, like the transport and nothing else.
//! - [`transport`]: bytes to a host and back, over SSH or on this machine. Knows no resource.
//! - [`act`]: verdicts become one archive of steps; what the host said about them.
//! - [`judge`]: declared × observed becomes verdicts.
//! - [`observe`]: a catalog becomes one script; frames become observations.
//! - [`wire`]: how bytes travel: nothing runs before it has arrived whole, nothing counts before its end mark.
//! - [`catalog`]: files become a model, and the model one host's ordered, typed, unique resources.
//! - [`kinds`]: one file per kind of thing, or a folder of its own: `file`, `package`, `service` …
//! - [`resource`]: the vocabulary kinds are written in.
//! - [`base`]: places in files, messages, quoting, values, digests.
//!
//! Between `report` and `act` there is room for what is to come: test hosts (`drivers`), what was found before (`history`),
//! rules about declarations (`lint`).
//!
//! ## Who owns which file
//!
//! | file | read by |
//! |---|---|
//! | `snowmelt.yml` | [`catalog::settings`] |
//! | `inventory.yml` | `catalog/inventory.rs`, with `groups.rs` and `levels.rs` |
//! | `roles/<role>/role.yml` | [`catalog::role`], then `catalog/resolve` for each host |
//! | `roles/<role>/spec.yml`, `specs/<role>.yml` | [`catalog::spec`] |
//! | `<memory>/<project>/<host>/record`, `run`, `lock` on a host | [`observe::Memory`]; written by `act/run.sh` |
//!
//! ## What is deliberately not there
//!
//! - `judge`, `observe`, `act`, `catalog` (but for `load`), `kinds` and `report` do no input or output, and so cannot hang or
//!   half succeed.
//! - A kind never compares, never connects and never writes an `if` about what was observed.
//! - No observation is ever patched: it is thrown away and read again.
//! - Nothing that came from a host is ever a template, a command or a path on this machine.

pub mod act;
pub mod base;
pub mod catalog;
pub mod cli;
pub mod judge;
pub mod kinds;
pub mod observe;
pub mod report;
pub mod resource;
pub mod transport;
pub mod verbs;
pub mod wire;
