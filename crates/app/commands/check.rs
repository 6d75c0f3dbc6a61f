//! `logrisk check`: whether a settings file would start a server, told before one is stopped for it.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use logrisk_catalogue::Catalogue;
use logrisk_web::Tls;

use super::{model::open_archive, rules::open_rules, run, serve::ServeArgs};

/// Validate a settings file, and what it names.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk check logrisk.yaml              also opens model, folder and port, and finds the hosts that it names
  logrisk check --offline logrisk.yaml    the file alone, and the files that it names

Exit codes: 0 all is well, 1 something is not (each said in a line).")]
pub struct CheckArgs {
    /// The settings file
    file: PathBuf,

    /// Leave the network, the port and the data folder alone
    #[arg(long)]
    offline: bool,
}

pub fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    if run::is_for_run(&arguments.file) {
        for (what, outcome) in run::check(&arguments.file, arguments.offline)? {
            report.add(&what, outcome);
        }
        if !run::has_section(&arguments.file, "serve") {
            return report.print();
        }
    }
    let settings = ServeArgs::of_file(&arguments.file)?;
    report.add("settings", Ok(format!("{} is valid", arguments.file.display())));
    let model = open_archive(settings.engine.model.as_deref(), settings.engine.tokenizer.as_deref());
    report.add("model", model.map(|archive| archive.description.version));
    let rules = open_rules(settings.engine.rules.as_deref());
    report.add("rules", rules.map(|rules| format!("{} rules", rules.names().count())));
    if let Some(files) = settings.tls() {
        let name = files.certificate.display().to_string();
        report.add("tls", Tls::open(files, &["http/1.1"]).map(|_| name).map_err(Into::into));
    }
    if !arguments.offline {
        if let Some(folder) = &settings.data_dir {
            let opened = Catalogue::open(folder).map(|catalogue| format!("{} patterns", catalogue.len()));
            report.add("data folder", opened.map_err(Into::into));
        }
        let address = SocketAddr::new(settings.host, settings.port);
        let bound = TcpListener::bind(address).with_context(|| format!("could not listen on {address}"));
        report.add("address", bound.map(|_| address.to_string()));
        if let Some(url) = settings.alert_url() {
            report.add("alerts", find_host(url));
        }
        if let Some(url) = settings.otlp_endpoint() {
            report.add("traces", find_host(url));
        }
    }
    report.print()
}

/// Looks the host up without sending it anything: a test alert would wake somebody.
fn find_host(url: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url
        .split_once("://")
        .with_context(|| format!("the address {url:?} begins with neither http:// nor https://"))?;
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = place.rsplit('@').next().unwrap_or(place);
    let port = if scheme == "http" { 80 } else { 443 };
    let found = if place.contains(':') { place.to_socket_addrs() } else { (place, port).to_socket_addrs() };
    found.with_context(|| format!("the host {place} is not known"))?;
    Ok(place.to_owned())
}

#[derive(Default)]
struct Report {
    text: String,
    failed: bool,
}

impl Report {
    fn add(&mut self, what: &str, outcome: anyhow::Result<String>) {
        let line = match outcome {
            Ok(found) => format!("ok      {what}: {found}\n"),
            Err(error) => {
                self.failed = true;
                format!("FAILED  {what}: {error:#}\n")
            }
        };
        self.text.push_str(&line);
    }

    fn print(&self) -> anyhow::Result<ExitCode> {
        std::io::stdout().write_all(self.text.as_bytes())?;
        Ok(if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
