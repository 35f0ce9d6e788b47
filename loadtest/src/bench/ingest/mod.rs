//! `loadtest bench ingest`: what a request costs ingest-fn, beside a bare handler, in one run on the same processors.
//!
//! In each round each contender is started anew and plays three windows: *saturated* (more is offered than it takes,
//! which tells its peak), *share* (a share of that peak, which tells its latency) and *equal* (the same rate for all,
//! which makes the CPU a request comparable). The order changes from round to round.

mod args;
mod contender;
mod figures;
mod goals;
mod table;
mod window;
mod wrk;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use shared::catalogue::Catalogue;
use shared::order::SaleId;

use super::tools::Tool;
use crate::generator::raise_open_files;
use crate::run::{Interrupts, describe_machine};
use crate::scenario::{self, SALE_ID};
use crate::stage::{Stack, Stage};
use contender::{Contender, Place, Server};
use figures::Figures;
use window::{Kind, Measured};

pub use args::IngestArgs;
pub(super) use contender::{Launch, ingest_launch};

/// Offered first while a contender's peak is looked for, requests a second.
const PROBE_RPS: u32 = 20_000;

/// Most steps of that search: the last one offers more than the generator can send.
const PROBES_MAX: u32 = 6;

/// How much more than a contender takes is offered to saturate it.
const OVER: f64 = 1.2;

/// Measures and prints. `interrupts` end it between two windows.
pub(super) async fn run(args: IngestArgs) -> anyhow::Result<ExitCode> {
    raise_open_files();
    let interrupts = Interrupts::listen()?;
    let directory = std::env::temp_dir().join(format!("spillway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let catalogue_toml = scenario::load("baseline")?.catalogue_toml();
    let catalogue = directory.join("catalogue.toml");
    std::fs::write(&catalogue, &catalogue_toml)?;
    let stages = Stages::set(&catalogue_toml, &args).await?;
    let figures = rounds(&args, &directory, &catalogue, &stages, &interrupts).await;
    stages.strike().await?;
    let figures = figures?;
    std::fs::remove_dir_all(&directory)?;
    println!("\n{}", table::text(&figures));
    for line in goals::judge(&figures) {
        println!("{line}");
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    if let Some(path) = &args.markdown {
        std::fs::write(path, table::markdown(&figures))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The brokers that the contenders need.
#[derive(Default)]
struct Stages {
    embedded: Option<Stage>,
    real: Option<Stage>,
}

impl Stages {
    async fn set(catalogue_toml: &str, args: &IngestArgs) -> anyhow::Result<Self> {
        let catalogue = Catalogue::from_toml(catalogue_toml)?;
        let sale = catalogue.sale(&SaleId::parse(SALE_ID)?);
        let key_name = sale.map(|sale| sale.order_id_key.clone()).unwrap_or_default();
        let mut stages = Self::default();
        let wanted = args.contenders();
        if wanted.iter().any(|contender| matches!(contender, Contender::Embedded | Contender::Unpublished)) {
            stages.embedded = Some(Stage::set(Stack::Embedded, &key_name).await?);
        }
        if wanted.contains(&Contender::Real) {
            if std::env::var_os("SPILLWAY_TEST_ROCKETMQ_ENDPOINT").is_some() {
                stages.real = Some(Stage::set(Stack::Real { proxy: false }, &key_name).await?);
            } else {
                println!(
                    "{}: skipped: SPILLWAY_TEST_ROCKETMQ_ENDPOINT is not set; run: infra/local/stack up && eval \"$(infra/local/stack env)\"",
                    Contender::Real
                );
            }
        }
        Ok(stages)
    }

    /// Where `contender` is to run; `None` if its broker is not there.
    fn of(&self, contender: Contender) -> Option<Place<'_>> {
        match contender {
            Contender::Bare | Contender::BareWorkers => Some(Place::Nowhere),
            Contender::Unpublished | Contender::Embedded => self.embedded.as_ref().map(Place::Stage),
            Contender::Real => self.real.as_ref().map(Place::Stage),
        }
    }

    async fn strike(self) -> anyhow::Result<()> {
        for stage in [self.embedded, self.real].into_iter().flatten() {
            stage.strike(false).await?;
        }
        Ok(())
    }
}

async fn rounds(
    args: &IngestArgs,
    directory: &Path,
    catalogue: &Path,
    stages: &Stages,
    interrupts: &Interrupts,
) -> anyhow::Result<Figures> {
    let mut figures = Figures::new(describe_machine(), args);
    let mut peaks = BTreeMap::new();
    let contenders: Vec<_> =
        args.contenders().into_iter().filter(|contender| stages.of(*contender).is_some()).collect();
    for round in 1..=args.rounds {
        // Whoever comes first finds another machine than whoever comes last.
        let first = (round as usize - 1) % contenders.len().max(1);
        for contender in contenders[first..].iter().chain(&contenders[..first]) {
            let Some(place) = stages.of(*contender) else { continue };
            if interrupts.count() > 0 {
                return Ok(figures);
            }
            let mut server = Server::start(*contender, &place, args, catalogue, directory).await?;
            let player = Player { args, directory, server: &server, contender: *contender, round };
            let mut peak_rps = player.warm(peaks.get(contender).copied()).await?;
            for kind in Kind::ALL {
                let measured = player.play(kind, peak_rps).await?;
                println!("round {round}: {measured}");
                if kind == Kind::Saturated {
                    peak_rps = measured.accepted_per_s;
                    peaks.insert(*contender, peak_rps);
                }
                figures.windows.push(measured);
            }
            if let Some(rps) = player.wrk().await? {
                println!("round {round}: {contender}, wrk: {rps:.0} accepted/s");
                figures.wrk.push((*contender, rps));
            }
            let rss_high_bytes = server.rss_high_bytes()?;
            println!("round {round}: {contender}, {:.1} MiB at most", figures::mib(rss_high_bytes));
            figures.rss_high_bytes.push((*contender, rss_high_bytes));
            server.stop().await?;
        }
    }
    Ok(figures)
}

/// Plays windows against one started contender.
struct Player<'a> {
    args: &'a IngestArgs,
    directory: &'a Path,
    server: &'a Server,
    contender: Contender,
    round: u32,
}

impl Player<'_> {
    /// Warms the server up. Its peak, requests a second, roughly: as known, else found by offering more and more.
    async fn warm(&self, known_rps: Option<f64>) -> anyhow::Result<f64> {
        if let Some(rps) = known_rps {
            self.probe(rps / 2.0).await?;
            return Ok(rps);
        }
        let mut offered = f64::from(PROBE_RPS);
        let mut taken = 0.0_f64;
        for _ in 0..PROBES_MAX {
            let accepted = self.probe(offered).await?.accepted_per_s;
            taken = taken.max(accepted);
            if accepted < offered * 0.95 {
                break;
            }
            offered *= 1.5;
        }
        Ok(taken)
    }

    async fn probe(&self, rps: f64) -> anyhow::Result<Measured> {
        let bounds = (rps, self.args.warm_up_seconds);
        window::play(
            self.server,
            self.contender,
            Kind::Saturated,
            self.round,
            bounds,
            self.args,
            self.directory,
        )
        .await
    }

    async fn play(&self, kind: Kind, peak_rps: f64) -> anyhow::Result<Measured> {
        let rps = match kind {
            Kind::Saturated => peak_rps * OVER,
            Kind::Share => peak_rps * f64::from(self.args.share_percent) / 100.0,
            Kind::Equal => f64::from(self.args.rps),
        };
        let bounds = (rps, self.args.seconds);
        // What is still on its way from the window before is not this one's.
        tokio::time::sleep(Duration::from_millis(300)).await;
        window::play(self.server, self.contender, kind, self.round, bounds, self.args, self.directory).await
    }

    /// wrk's word on the peak, if it is asked for and installed.
    async fn wrk(&self) -> anyhow::Result<Option<f64>> {
        match Tool::Wrk.program() {
            Some(program) if self.args.wrk => {
                let connections = self.args.connections;
                wrk::peak_rps(&program, self.server.address, connections, self.args.seconds, self.directory)
                    .await
                    .map(Some)
            }
            _ => Ok(None),
        }
    }
}
