//! The commands of the program and what they print.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use super::serve;
use crate::{
    config::Config,
    error::{Error, Result},
    store::{DataDirLock, DatabaseLock, Store},
};

const DEFAULT_LOG: &str = "warn,breezeway=info";

/// Stands between people's browsers and the backends a team already has.
#[derive(Parser)]
#[command(name = "breezeway", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until told to stop (the default)
    Serve(Options),
    /// Check the configuration and print what is in effect, secrets left out
    Check(Options),
    /// Bring the database up to date and stop
    Migrate(Options),
}

#[derive(Args, Clone)]
struct Options {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "Leptos.toml")]
    config: PathBuf,
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let (task, options): (fn(Config, &Options) -> Result<()>, _) = match cli.command {
        None => (serve_site, cli.options),
        Some(Command::Serve(options)) => (serve_site, options),
        Some(Command::Check(options)) => (check, options),
        Some(Command::Migrate(options)) => (migrate, options),
    };
    let config = match Config::load(&options.config) {
        Ok(config) => config,
        Err(problems) => return failed(&problems.to_string()),
    };
    match task(config, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.causes()),
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

fn serve_site(config: Config, options: &Options) -> Result<()> {
    let filter =
        EnvFilter::try_from_env("BREEZEWAY_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    serve::serve(config, &options.config)
}

fn check(config: Config, _: &Options) -> Result<()> {
    println!("{}", config.describe());
    Ok(())
}

fn migrate(config: Config, _: &Options) -> Result<()> {
    let _alone = DataDirLock::take(&config.server.data_dir).map_err(Error::startup)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Error::startup)?;
    runtime.block_on(async {
        let _alone = DatabaseLock::take(&config.server).await.map_err(Error::startup)?;
        Store::open(&config.server).await.map_err(Error::startup)?.close().await;
        println!("The database is up to date.");
        Ok(())
    })
}
