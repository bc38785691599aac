//! The fixed mix of resources that everything is measured with: as a role, as a hand-written script, as a playbook, as a
//! deploy of pyinfra, as a spec of Serverspec.
//!
//! In 100: 55 files with content, owner, group and mode, 10 directories, 5 links, 5 lines of one file, 10 packages,
//! 5 services, 5 users, 5 groups; ten times that in 1,000. It refuses to know how anything is measured.

use std::fmt::Write as _;

use hosts::Host;

/// Services that every host of the tests has, enabled or not, running; more than these are made up.
const REAL_SERVICES: [&str; 3] = ["ssh", "cron", "dbus"];

/// A number of resources in the fixed proportions.
pub(crate) struct Mix {
    files: usize,
    directories: usize,
    links: usize,
    lines: usize,
    packages: Vec<String>,
    services: Vec<String>,
    users: usize,
    groups: usize,
}

impl Mix {
    /// The mix of `count` resources, a multiple of 100, with packages that `host` has.
    pub(crate) fn new(count: usize, host: &Host) -> Self {
        let part = |percent: usize| count * percent / 100;
        let installed = host.ask("dpkg-query -W -f '${db:Status-Status} ${Package}\\n' | sed -n 's/^installed //p'");
        let packages: Vec<String> = installed.lines().take(part(10)).map(str::to_owned).collect();
        assert_eq!(packages.len(), part(10), "the host has too few packages");
        let made_up = (0..).map(|number| format!("bench{number}"));
        let services = REAL_SERVICES.iter().map(|name| (*name).to_owned()).chain(made_up).take(part(5)).collect();
        Self {
            files: part(55),
            directories: part(10),
            links: part(5),
            lines: part(5),
            packages,
            services,
            users: part(5),
            groups: part(5),
        }
    }

    /// Makes the services that no distribution has; everything else is made by applying the role.
    pub(crate) fn prepare(&self, host: &Host) {
        let made_up: Vec<&str> =
            self.services.iter().map(String::as_str).filter(|name| !REAL_SERVICES.contains(name)).collect();
        if made_up.is_empty() {
            return;
        }
        let unit = "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n";
        host.ask(&format!(
            "for name in {0}; do printf '{unit}' >/etc/systemd/system/$name.service; done; systemctl daemon-reload; \
             systemctl enable --quiet --now {0}",
            made_up.join(" ")
        ));
    }

    /// The role that declares it.
    pub(crate) fn role(&self) -> String {
        let mut text = "resources:\n  - directory: /srv/bench\n".to_owned();
        for number in 0..self.files {
            let content = content(number).replace('\n', "\\n");
            let _ = writeln!(
                text,
                "  - file: {}\n    content: \"{content}\"\n    owner: root\n    group: root\n    mode: \"0644\"",
                file(number)
            );
        }
        for number in 0..self.directories {
            let path = directory(number);
            let _ = writeln!(text, "  - directory: {path}\n    owner: root\n    group: root\n    mode: \"0755\"");
        }
        for number in 0..self.links {
            let _ = writeln!(text, "  - link: {}\n    to: {}", link(number), file(number));
        }
        for number in 0..self.lines {
            let _ = writeln!(text, "  - line: {}\n    file: {EDITED}\n    create: true", line(number));
        }
        for name in &self.packages {
            let _ = writeln!(text, "  - package: {name}");
        }
        for name in &self.services {
            let _ = writeln!(text, "  - service: {name}\n    running: true");
        }
        for number in 0..self.users {
            let _ = writeln!(text, "  - user: benchu{number}\n    shell: /bin/sh\n    comment: of the benchmark");
        }
        for number in 0..self.groups {
            let _ = writeln!(text, "  - group: benchg{number}");
        }
        text
    }

    /// What somebody would write by hand to read the same things: one call of one tool for each sort of them.
    pub(crate) fn script(&self) -> String {
        let many = |count: usize, name: fn(usize) -> String| (0..count).map(name).collect::<Vec<_>>().join(" ");
        let files = many(self.files, file);
        let links = many(self.links, link);
        format!(
            "export LC_ALL=C\nstat -c '%n %F %U %G %a' {files} {} {links}\nsha256sum {files}\nreadlink {links}\n\
             cat {EDITED}\ndpkg-query -W -f '${{Package}} ${{db:Status-Status}} ${{Version}}\\n' {}\n\
             systemctl show -p Id,LoadState,ActiveState,SubState,UnitFileState {}\ngetent passwd {}\ngetent group {}\n",
            many(self.directories, directory),
            self.packages.join(" "),
            self.services.join(" "),
            many(self.users, |number| format!("benchu{number}")),
            many(self.groups, |number| format!("benchg{number}")),
        )
    }

    /// The same as an Ansible playbook, a task for each sort.
    pub(crate) fn playbook(&self) -> String {
        let mut text = "- hosts: all\n  gather_facts: false\n  tasks:\n".to_owned();
        let mut task = |module: &str, items: Vec<String>| {
            let _ = writeln!(text, "    - {module}");
            if !items.is_empty() {
                let _ = writeln!(text, "      loop: [{}]", items.join(", "));
            }
        };
        let owned = "owner: root, group: root";
        let files = (0..self.files)
            .map(|number| format!("{{path: {}, content: \"{}\"}}", file(number), content(number).replace('\n', "\\n")));
        let links = (0..self.links).map(|number| format!("{{path: {}, to: {}}}", link(number), file(number)));
        let numbered = |count: usize, name: &str| (0..count).map(|number| format!("{name}{number}")).collect();
        task("ansible.builtin.file: {path: /srv/bench, state: directory}", Vec::new());
        task(
            &format!(
                "ansible.builtin.copy: {{dest: '{{{{ item.path }}}}', content: '{{{{ item.content }}}}', {owned}, mode: '0644'}}"
            ),
            files.collect(),
        );
        task(
            &format!("ansible.builtin.file: {{path: '{{{{ item }}}}', state: directory, {owned}, mode: '0755'}}"),
            (0..self.directories).map(directory).collect(),
        );
        task("ansible.builtin.file: {path: '{{ item.path }}', src: '{{ item.to }}', state: link}", links.collect());
        task(
            &format!("ansible.builtin.lineinfile: {{path: {EDITED}, line: '{{{{ item }}}}', create: true}}"),
            (0..self.lines).map(line).collect(),
        );
        task(&format!("ansible.builtin.apt: {{name: [{}]}}", self.packages.join(", ")), Vec::new());
        task("ansible.builtin.systemd_service: {name: '{{ item }}', state: started}", self.services.clone());
        task(
            "ansible.builtin.user: {name: '{{ item }}', shell: /bin/sh, comment: of the benchmark}",
            numbered(self.users, "benchu"),
        );
        task("ansible.builtin.group: {name: '{{ item }}'}", numbered(self.groups, "benchg"));
        text
    }

    /// The same as a deploy of pyinfra.
    pub(crate) fn deploy(&self) -> String {
        let mut text = "from io import StringIO\nfrom pyinfra.operations import apt, files, server, systemd\n\
                        files.directory(path='/srv/bench')\n"
            .to_owned();
        for number in 0..self.files {
            let content = content(number).replace('\n', "\\n");
            let _ = writeln!(
                text,
                "files.put(src=StringIO('{content}'), dest='{}', user='root', group='root', mode='644')",
                file(number)
            );
        }
        for number in 0..self.directories {
            let path = directory(number);
            let _ = writeln!(text, "files.directory(path='{path}', user='root', group='root', mode='755')");
        }
        for number in 0..self.links {
            let _ = writeln!(text, "files.link(path='{}', target='{}')", link(number), file(number));
        }
        for number in 0..self.lines {
            let _ = writeln!(text, "files.line(path='{EDITED}', line='{}')", line(number));
        }
        let _ = writeln!(text, "apt.packages(packages={:?})", self.packages);
        for name in &self.services {
            let _ = writeln!(text, "systemd.service(service='{name}', running=True, enabled=None)");
        }
        for number in 0..self.users {
            let _ = writeln!(text, "server.user(user='benchu{number}', shell='/bin/sh', comment='of the benchmark')");
        }
        for number in 0..self.groups {
            let _ = writeln!(text, "server.group(group='benchg{number}')");
        }
        text
    }

    /// The same to check with Serverspec, for the host in `TARGET_HOST`; `ssh_config` says how it is reached.
    pub(crate) fn serverspec(&self, ssh_config: &str) -> String {
        let mut text = format!(
            "require 'serverspec'\nrequire 'net/ssh'\nrequire 'digest'\nset :backend, :ssh\nhost = ENV['TARGET_HOST']\n\
             options = Net::SSH::Config.for(host, ['{ssh_config}'])\nset :host, options[:host_name] || host\n\
             set :ssh_options, options.merge(user: 'root')\nset :disable_sudo, true\n"
        );
        let owned = "it { should be_owned_by 'root' }; it { should be_grouped_into 'root' }";
        for number in 0..self.files {
            let content = content(number).replace('\n', "\\n");
            let _ = writeln!(
                text,
                "describe(file('{}')) {{ it {{ should be_file }}; {owned}; it {{ should be_mode 644 }}; \
                 its(:sha256sum) {{ should eq Digest::SHA256.hexdigest(\"{content}\") }} }}",
                file(number)
            );
        }
        for number in 0..self.directories {
            let path = directory(number);
            let _ = writeln!(
                text,
                "describe(file('{path}')) {{ it {{ should be_directory }}; {owned}; it {{ should be_mode 755 }} }}"
            );
        }
        for number in 0..self.links {
            let (link, to) = (link(number), file(number));
            let _ = writeln!(text, "describe(file('{link}')) {{ it {{ should be_linked_to '{to}' }} }}");
        }
        for number in 0..self.lines {
            let line = line(number);
            let _ = writeln!(text, "describe(file('{EDITED}')) {{ its(:content) {{ should match(/^{line}$/) }} }}");
        }
        for name in &self.packages {
            let _ = writeln!(text, "describe(package('{name}')) {{ it {{ should be_installed }} }}");
        }
        for name in &self.services {
            let _ = writeln!(text, "describe(service('{name}')) {{ it {{ should be_running }} }}");
        }
        for number in 0..self.users {
            let _ = writeln!(
                text,
                "describe(user('benchu{number}')) {{ it {{ should exist }}; it {{ should have_login_shell '/bin/sh' }} }}"
            );
        }
        for number in 0..self.groups {
            let _ = writeln!(text, "describe(group('benchg{number}')) {{ it {{ should exist }} }}");
        }
        text
    }
}

/// What file number `number` holds: 700 bytes, as a small configuration.
pub(crate) fn content(number: usize) -> String {
    (0..20).map(|line| format!("option_{line:02} = value {number} of it\n")).collect()
}

/// Where file number `number` is.
pub(crate) fn file(number: usize) -> String {
    format!("/srv/bench/file{number}.conf")
}

const EDITED: &str = "/srv/bench/edited.conf";

fn directory(number: usize) -> String {
    format!("/srv/bench/directory{number}")
}

fn link(number: usize) -> String {
    format!("/srv/bench/link{number}")
}

fn line(number: usize) -> String {
    format!("setting{number} = on")
}
