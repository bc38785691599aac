//! The fixed mix of resources that everything is measured with: as a role, as a hand-written script, as a playbook.
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
