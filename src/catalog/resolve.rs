//! One host's catalog: its roles in order, their values, and what they declare with these values.
//!
//! A [`Resolver`] is made once for a project and then asked for any number of hosts, from any number of threads. It reads no
//! file and contacts no host. What only reads code, before anything has a value, is in [`super::needs`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use indexmap::IndexMap;
use minijinja::value::Value as Jinja;
use minijinja::{Error, ErrorKind};
use rayon::prelude::*;

use super::Catalog;
use super::entry::{Builder, Draft};
use super::lets;
use super::link;
use super::model::{Host, Project, Role, RoleUse};
use super::needs::{self, Uses};
pub use super::needs::{FactNeeds, take_own_facts};
use super::params::{self, Typing};
use super::render::Engine;
use super::role;
use super::scope::{Scope, Variable, guessed, to_jinja};
use super::secrets::{self, NoSecret};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::nearest;
use crate::base::secret::{Secret, SecretFile};
use crate::base::span::Span;
use crate::base::value::Value;
use crate::kinds;
use crate::resource::facts::{OsFamily, PATHS};
use crate::resource::{Facts, Kind, Resource};

/// How many catalogs of a check are kept for whoever asks for them next: as many as are worked on at a time anyway.
const MOST_CHECKED: usize = 25;

/// Gives the secret with a name (`scope/name`), or says why it cannot.
pub type SecretProvider = dyn Fn(&str) -> Result<Secret, NoSecret> + Send + Sync;

/// Decrypts the file with a path in the project, or says why it cannot.
pub type FileProvider = dyn Fn(&str, &[u8]) -> Result<SecretFile, NoSecret> + Send + Sync;

/// Resolves the hosts of a project.
pub struct Resolver {
    pub(crate) project: Arc<Project>,
    pub(crate) kinds: &'static [&'static dyn Kind],
    pub(crate) engines: BTreeMap<String, Engine>,
    pub(crate) uses: BTreeMap<String, Uses>,
    provider: Option<Box<SecretProvider>>,
    file_provider: Option<Box<FileProvider>>,
    missing: Mutex<BTreeMap<String, String>>,
    groups: OnceLock<Arc<BTreeMap<String, Jinja>>>,
    /// What a check has resolved of its first hosts, by name, until it is asked for.
    checked: Mutex<BTreeMap<String, Catalog>>,
}

/// What is known of a host's facts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'a> {
    /// All of them.
    Known(&'a Facts),
    /// Only the family, for the sake of the argument.
    Assumed(OsFamily),
    /// Nothing.
    Nothing,
}

/// A parameter's value and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) value: Value,
    /// Each level that had a say, nearest first, with its place.
    pub(crate) origins: Vec<(String, Span)>,
}

/// What one run over a host gave.
pub(crate) struct Run {
    pub(crate) roles: Vec<RoleUse>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) mistakes: Diagnostics,
    pub(crate) incomplete: bool,
}

impl Run {
    fn into_catalog(self, host: &Host) -> Catalog {
        let roles = self.roles.into_iter().map(|role| role.instance).collect();
        Catalog { host: host.name.clone(), roles, resources: self.resources }
    }
}

impl Resolver {
    /// A resolver for this project, with all kinds there are.
    pub fn new(project: Arc<Project>) -> Self {
        Self::with_kinds(project, kinds::ALL)
    }

    /// The same with other kinds.
    pub(crate) fn with_kinds(project: Arc<Project>, kinds: &'static [&'static dyn Kind]) -> Self {
        let engines = project
            .roles
            .iter()
            .map(|(name, role)| (name.clone(), Engine::new(role.files.templates.clone())))
            .collect();
        let (missing, groups, checked) = (Mutex::default(), OnceLock::new(), Mutex::default());
        let uses = project.roles.iter().map(|(name, role)| (name.clone(), needs::uses(&project, role))).collect();
        Self { project, kinds, engines, uses, provider: None, file_provider: None, missing, groups, checked }
    }

    /// Where secrets come from. Without it, what uses one is blocked.
    #[must_use]
    pub fn secrets(mut self, provider: Box<SecretProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Where files come from that are encrypted as a whole. Without it, what uses one is blocked.
    #[must_use]
    pub fn secret_files(mut self, provider: Box<FileProvider>) -> Self {
        self.file_provider = Some(provider);
        self
    }

    /// The catalog of a host. `facts` may be left out if [`Resolver::fact_needs`] says that nothing asks for them.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn resolve(&self, host: &Host, facts: Option<&Facts>) -> Result<Catalog, Diagnostics> {
        if let (None, Some(checked)) = (facts, self.checked().remove(&host.name)) {
            return Ok(checked);
        }
        let mut run = self.run(host, facts.map_or(View::Nothing, View::Known));
        if facts.is_none() && !run.mistakes.has_errors() && self.fact_needs(host).is_some() {
            run.mistakes
                .push(Diagnostic::placeless(format!("what is declared for {} depends on its facts", host.name)));
        }
        if run.mistakes.has_errors() {
            return Err(run.mistakes);
        }
        Ok(run.into_catalog(host))
    }

    fn checked(&self) -> MutexGuard<'_, BTreeMap<String, Catalog>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which facts of a host must be read before it can be resolved; none where nothing asks for any.
    pub fn fact_needs(&self, host: &Host) -> Option<FactNeeds> {
        needs::of_host(self, host)
    }

    /// Roles of a host that are not made for what it runs. This needs no exchange of its own: every observation tells the
    /// family.
    pub fn wrong_platforms(&self, host: &Host, family: OsFamily) -> Diagnostics {
        let mut out = Diagnostics::new();
        for used in self.instances(host) {
            if let Some(role) = self.project.roles.get(&used.role) {
                out.extend(platform(host, &used, role, family));
            }
        }
        out
    }

    /// Every mistake that can be found without contacting a host: in all roles and specs, whether or not a host has them, and
    /// in what they declare for each of these hosts (by their index in the project). Where that depends on facts, a mistake
    /// counts that is there whatever the facts are.
    pub fn check(&self, hosts: &[usize]) -> Diagnostics {
        let mut all = Diagnostics::new();
        for role in self.project.roles.values() {
            all.extend(needs::of_role(self, role));
        }
        let of_hosts: Vec<Diagnostics> =
            hosts.par_iter().enumerate().map(|(number, host)| self.check_host(*host, number < MOST_CHECKED)).collect();
        // What the code alone has shown to be wrong is not said again by those whose values run into it.
        for mistake in of_hosts.iter().flatten() {
            if !all.iter().any(|known| known != mistake && overlap(known.span.as_ref(), mistake.span.as_ref())) {
                all.push(mistake.clone());
            }
        }
        all
    }

    /// Shows everything that these hosts declare, as far as it can be known without contacting them, a few at a time. False if
    /// more than that may be declared, depending on facts.
    pub fn foresee(&self, hosts: &[usize], mut show: impl FnMut(&[Resource])) -> bool {
        let mut is_all = true;
        for host in hosts.iter().map(|host| &self.project.hosts[*host]) {
            let views: Vec<View<'_>> = match self.fact_needs(host) {
                None => vec![View::Nothing],
                Some(_) => self.families(host).into_iter().map(View::Assumed).collect(),
            };
            for view in views {
                let run = self.run(host, view);
                show(&run.resources);
                is_all &= !run.incomplete;
            }
        }
        is_all
    }

    /// The mistakes in those roles and specs whose files were read without any: what else is wrong with a project that was
    /// loaded with the mistakes `known`.
    pub fn check_others(&self, known: &Diagnostics) -> Diagnostics {
        let is_in = |span: &Span, role: &str| {
            let path = span.path();
            path.starts_with(format!("roles/{role}")) || path == Path::new(&format!("specs/{role}.yml"))
        };
        let mut all = Diagnostics::new();
        for role in self.project.roles.values() {
            if !known.iter().filter_map(|mistake| mistake.span.as_ref()).any(|span| is_in(span, &role.name)) {
                all.extend(needs::of_role(self, role));
            }
        }
        all
    }

    /// The mistakes of one host. `keep`: what was resolved without any is kept for [`Resolver::resolve`].
    fn check_host(&self, host: usize, keep: bool) -> Diagnostics {
        let host = &self.project.hosts[host];
        if self.fact_needs(host).is_none() {
            let mut run = self.run(host, View::Nothing);
            let mistakes = std::mem::replace(&mut run.mistakes, Diagnostics::new());
            if keep && !mistakes.has_errors() {
                self.checked().insert(host.name.clone(), run.into_catalog(host));
            }
            return mistakes;
        }
        let mut families = self.families(host).into_iter();
        let Some(first) = families.next() else { return Diagnostics::new() };
        let found = self.run(host, View::Assumed(first)).mistakes;
        let rest: Vec<Diagnostics> = families.map(|family| self.run(host, View::Assumed(family)).mistakes).collect();
        let mut certain = Diagnostics::new();
        for mistake in &found {
            if rest.iter().all(|other| other.iter().any(|known| known == mistake)) {
                certain.push(mistake.clone());
            }
        }
        certain
    }

    /// The families a host can be of, by the platforms of its roles.
    pub(crate) fn families(&self, host: &Host) -> Vec<OsFamily> {
        let roles = self.instances(host);
        let platforms = |used: &RoleUse| self.project.roles.get(&used.role).map(|role| role.platforms.as_slice());
        OsFamily::WORDS
            .iter()
            .map(|word| OsFamily::from_word(word))
            .filter(|family| {
                roles.iter().filter_map(platforms).all(|platforms| platforms.is_empty() || platforms.contains(family))
            })
            .collect()
    }

    /// The roles of a host in order, those that are only required among them.
    pub(crate) fn instances(&self, host: &Host) -> Vec<RoleUse> {
        role::with_required(&host.roles, &self.project.roles)
    }

    /// Everything that can be said of a host under this view.
    pub(crate) fn run(&self, host: &Host, view: View<'_>) -> Run {
        let roles = self.instances(host);
        let mut run = Run { roles: Vec::new(), resources: Vec::new(), mistakes: Diagnostics::new(), incomplete: false };
        let (mut declared, mut checks): (Vec<Draft>, Vec<Draft>) = (Vec::new(), Vec::new());
        for used in &roles {
            let Some(role) = self.project.roles.get(&used.role) else { continue };
            if let View::Known(facts) = view {
                run.mistakes.extend(platform(host, used, role, facts.os_family));
            }
            let Some(scope) = self.scope(host, used, role, view, &mut run) else {
                run.incomplete = true;
                continue;
            };
            declared.extend(self.build(role, &used.instance, &role.resources, false, &scope, &mut run));
            for spec in role.spec.iter().chain(self.project.specs.get(&role.name)) {
                checks.extend(self.build(role, &used.instance, &spec.checks, true, &scope, &mut run));
            }
        }
        declared.extend(checks);
        run.resources = link::link(declared, run.incomplete, self.kinds, &mut run.mistakes);
        run.roles = roles;
        run
    }

    fn build(
        &self,
        role: &Role,
        instance: &str,
        nodes: &[super::yaml::Node],
        is_spec: bool,
        scope: &Arc<Scope>,
        run: &mut Run,
    ) -> Vec<Draft> {
        let mut builder = self.builder(role, instance, is_spec, false);
        builder.entries(nodes, scope);
        run.mistakes.extend(builder.mistakes);
        run.incomplete |= builder.incomplete;
        builder.drafts
    }

    /// A builder for entries of a role.
    pub(crate) fn builder<'a>(
        &'a self,
        role: &'a Role,
        instance: &'a str,
        is_spec: bool,
        is_static: bool,
    ) -> Builder<'a> {
        Builder {
            kinds: self.kinds,
            role,
            instance,
            engine: &self.engines[role.name.as_str()],
            is_spec,
            is_static,
            missing: Box::new(|name| self.missing(name)),
            open: Box::new(|name, bytes, place| self.secret_file(&role.name, name, bytes, place)),
            drafts: Vec::new(),
            mistakes: Diagnostics::new(),
            incomplete: false,
        }
    }

    /// The typed parameters of an instance. Mistakes go to `out`; a parameter with a mistake is left out.
    pub(crate) fn parameters(
        &self,
        host: &Host,
        used: &RoleUse,
        role: &Role,
        out: &mut Diagnostics,
    ) -> IndexMap<String, Parameter> {
        let secret = |name: &str, span: &Span| self.secret(name, span);
        let typing = Typing { files: &role.files, secret: &secret };
        let mut all = IndexMap::new();
        for (name, param) in &role.params {
            let key = (used.instance.clone(), name.clone());
            let given = host.values.get(&key).map(Vec::as_slice).unwrap_or_default();
            let mut origins: Vec<(String, Span)> =
                given.iter().map(|given| (given.origin.clone(), given.node.span.clone())).collect();
            origins
                .extend(param.default.iter().map(|node| (format!("default of role {}", role.name), node.span.clone())));
            if !param.deep {
                origins.truncate(1);
            }
            let value = match params::layered(param, given) {
                Some(node) => {
                    let mut mistakes = Diagnostics::new();
                    let value = typing.param(param, &node, &mut mistakes);
                    // Who gives a value in the inventory may never have seen the role.
                    for mistake in &mistakes {
                        let what = format!("`{name}` of role {} is declared here", role.name);
                        out.push(match mistake.related.is_empty() && !given.is_empty() {
                            true => mistake.clone().related(&param.span, what),
                            false => mistake.clone(),
                        });
                    }
                    value
                }
                None if param.optional => Some(Value::Null),
                None => {
                    let shape = param.shape.name();
                    out.push(
                        Diagnostic::error(
                            &used.span,
                            format!("`{}` needs a value for `{name}` on {}", used.instance, host.name),
                        )
                        .related(&param.span, "declared here, without a default")
                        .hint(format!(
                            "write vars: {{{}: {{{name}: …}}}} for a group or the host; it is {shape}",
                            used.instance
                        )),
                    );
                    None
                }
            };
            if let Some(value) = value {
                all.insert(name.clone(), Parameter { value, origins });
            }
        }
        all
    }

    /// The names an instance sees. None if one of its parameters has a mistake.
    pub(crate) fn scope(
        &self,
        host: &Host,
        used: &RoleUse,
        role: &Role,
        view: View<'_>,
        run: &mut Run,
    ) -> Option<Arc<Scope>> {
        let parameters = self.parameters(host, used, role, &mut run.mistakes);
        if parameters.len() < role.params.len() {
            return None;
        }
        let mut scope = Scope::default();
        for (name, parameter) in &parameters {
            scope.set(name, Variable::Known(to_jinja(&parameter.value)));
        }
        scope.set("facts", Variable::Known(facts(role, &used.instance, view)));
        scope.set("host", Variable::Known(about(host)));
        if self.uses.get(&role.name).is_some_and(|uses| uses.hosts) {
            scope.set("hosts", Variable::Known(self.hosts_function()));
        } else {
            scope.set("hosts", Variable::Known(Jinja::from(())));
        }
        let engine = self.engines.get(role.name.as_str())?;
        Some(lets::bind(engine, role, scope, false, &mut run.mistakes))
    }

    /// A secret that is asked for at this place. One that nobody here can decrypt is empty, and what uses it is blocked.
    fn secret(&self, name: &str, place: &Span) -> Result<Secret, Diagnostic> {
        let answer = match &self.provider {
            Some(provider) => provider(name),
            None => Err(NoSecret::NoKey(format!("no key for {name}"))),
        };
        self.or_blocked(answer, name, place, || Secret::new(name, String::new()))
    }

    /// A file of a role that is encrypted as a whole, likewise.
    fn secret_file(&self, role: &str, name: &str, bytes: &[u8], place: &Span) -> Result<SecretFile, Diagnostic> {
        let path = secrets::file_path(role, name);
        let answer = match &self.file_provider {
            Some(provider) => provider(&path, bytes),
            None => Err(NoSecret::NoKey(format!("no key for {path}"))),
        };
        let empty = || SecretFile { bytes: Arc::new([]), secret: Secret::new(&path, String::new()) };
        self.or_blocked(answer, &path, place, empty)
    }

    fn or_blocked<T>(
        &self,
        answer: Result<T, NoSecret>,
        name: &str,
        place: &Span,
        empty: impl FnOnce() -> T,
    ) -> Result<T, Diagnostic> {
        match answer {
            Ok(secret) => Ok(secret),
            Err(NoSecret::NoKey(why)) => {
                self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), why);
                Ok(empty())
            }
            Err(NoSecret::Wrong(wrong)) if wrong.span.is_none() => {
                Err(Diagnostic { span: Some(place.clone()), ..*wrong })
            }
            Err(NoSecret::Wrong(wrong)) => Err(wrong.related(place, "it is used here")),
        }
    }

    /// Why a secret is not there. A name of several secrets, joined by spaces, is that of a text they all went into.
    fn missing(&self, names: &str) -> Option<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let each = || names.split(' ').find_map(|name| missing.get(name));
        missing.get(names).or_else(each).cloned()
    }

    /// `hosts('group')`: the hosts of a group, as declared.
    fn hosts_function(&self) -> Jinja {
        let groups = Arc::clone(self.groups.get_or_init(|| Arc::new(self.all_groups())));
        Jinja::from_function(move |name: &str| -> Result<Jinja, Error> {
            groups.get(name).cloned().ok_or_else(|| {
                let hint = nearest::hint(name, groups.keys().map(String::as_str)).unwrap_or_default();
                Error::new(ErrorKind::InvalidOperation, format!("unknown group `{name}`; {hint}"))
            })
        })
    }

    fn all_groups(&self) -> BTreeMap<String, Jinja> {
        let described: BTreeMap<&str, Jinja> =
            self.project.hosts.iter().map(|host| (host.name.as_str(), self.describe(host))).collect();
        let list =
            |names: &[String]| names.iter().filter_map(|name| described.get(name.as_str()).cloned()).collect::<Jinja>();
        let mut groups: BTreeMap<String, Jinja> =
            self.project.groups.iter().map(|(name, group)| (name.clone(), list(&group.hosts))).collect();
        groups.insert(
            "all".to_owned(),
            self.project.hosts.iter().filter_map(|host| described.get(host.name.as_str()).cloned()).collect(),
        );
        groups
    }

    /// A host as other hosts see it. Mistakes in its values are reported where it is resolved itself.
    fn describe(&self, host: &Host) -> Jinja {
        let values = self.instances(host).into_iter().filter_map(|used| {
            let role = self.project.roles.get(&used.role)?;
            let parameters = self.parameters(host, &used, role, &mut Diagnostics::new());
            let pairs = parameters.into_iter().map(|(name, parameter)| (name, to_jinja(&parameter.value)));
            Some((used.instance, Jinja::from_pairs(pairs)))
        });
        let values = Jinja::from_pairs(values.collect::<Vec<_>>());
        Jinja::from_pairs([
            ("name", Jinja::from(&host.name)),
            ("address", Jinja::from(address(host))),
            ("values", values),
        ])
    }
}

fn overlap(one: Option<&Span>, two: Option<&Span>) -> bool {
    let (Some(one), Some(two)) = (one, two) else { return false };
    Arc::ptr_eq(one.source(), two.source()) && one.start() < two.end() && two.start() < one.end()
}

fn address(host: &Host) -> &str {
    host.connection.address.as_deref().unwrap_or(&host.name)
}

fn about(host: &Host) -> Jinja {
    let groups: Jinja = host.groups.iter().collect();
    Jinja::from_pairs([("name", Jinja::from(&host.name)), ("address", Jinja::from(address(host))), ("groups", groups)])
}

/// That a role is not made for a family of distributions.
fn platform(host: &Host, used: &RoleUse, role: &Role, family: OsFamily) -> Diagnostics {
    let mut out = Diagnostics::new();
    if !role.platforms.is_empty() && !role.platforms.contains(&family) {
        let known: Vec<&str> = role.platforms.iter().map(|family| family.word()).collect();
        let message =
            format!("role `{}` is not made for {}, which is what {} runs", role.name, family.word(), host.name);
        out.push(Diagnostic::error(&used.span, message).hint(format!("its platforms: {}", known.join(", "))));
    }
    out
}

/// What a role sees as `facts`.
fn facts(role: &Role, instance: &str, view: View<'_>) -> Jinja {
    let unknown = |names: &mut dyn Iterator<Item = &str>| names.map(str::to_owned).collect::<Vec<_>>();
    match view {
        View::Known(facts) => {
            let mut own = IndexMap::new();
            for name in role.facts.keys() {
                if let Some(value) = facts.own.get(&needs::own_key(instance, name)) {
                    own.insert(name.clone(), value.clone());
                }
            }
            to_jinja(&Facts { own, ..facts.clone() }.to_value())
        }
        View::Assumed(_) | View::Nothing => {
            let family = match view {
                View::Assumed(family) => IndexMap::from([("family".to_owned(), Jinja::from(family.word()))]),
                _ => IndexMap::new(),
            };
            let below_os = unknown(&mut PATHS.iter().filter_map(|path| path.strip_prefix("os.")));
            let mut top = unknown(&mut PATHS.iter().copied().filter(|path| !path.contains('.')));
            top.extend(role.facts.keys().cloned());
            guessed(IndexMap::from([("os".to_owned(), guessed(family, below_os))]), top)
        }
    }
}
