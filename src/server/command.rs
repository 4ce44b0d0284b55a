//! The commands of the program and what they print.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use axum::http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use clap::{Args, Parser, Subcommand};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::serve;
use crate::{
    config::{BackendUrl, Config},
    data,
    error::{Error, Result},
    sandbox::{Sandbox, SandboxOptions},
    store::{DataDirLock, DatabaseLock, Store, new_id},
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
    /// Find out about the data behind a backend
    #[command(subcommand)]
    Resources(Resources),
}

#[derive(Subcommand)]
enum Resources {
    /// Print how a collection would be declared, by asking its backend
    Describe(Describe),
}

#[derive(Args, Clone)]
struct Describe {
    /// What it is called in the file: `<group>.<name>`
    name: String,
    /// A header that goes with every request, such as "Authorization: Bearer …"; BREEZEWAY_TOKEN in
    /// the environment does the same for a token
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    #[command(flatten)]
    options: Options,
}

/// `Name: value`
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| "that is not a header's name")?;
    let mut value =
        HeaderValue::try_from(value.trim()).map_err(|_| "that is not a header's value")?;
    value.set_sensitive(true);
    Ok((name, value))
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
    if let Some(Command::Resources(Resources::Describe(asked))) = cli.command {
        return described(&asked);
    }
    let (task, options): (fn(Config, &Options) -> Result<()>, _) = match cli.command {
        None => (serve_site, cli.options),
        Some(Command::Serve(options)) => (serve_site, options),
        Some(Command::Check(options)) => (check, options),
        Some(Command::Migrate(options)) => (migrate, options),
        Some(Command::Resources(_)) => return ExitCode::SUCCESS,
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

fn described(asked: &Describe) -> ExitCode {
    let config = match Config::load(&asked.options.config) {
        Ok(config) => config,
        Err(problems) => return failed(&problems.to_string()),
    };
    match describe(config, asked) {
        Ok(toml) => {
            print!("{toml}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// What a backend tells of a collection, asked with the credentials of whoever runs this.
fn describe(config: Config, asked: &Describe) -> Result<String> {
    let mut headers = asked.headers.clone();
    if let Ok(token) = std::env::var("BREEZEWAY_TOKEN") {
        headers.push(bearer(&token)?);
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().map_err(Error::startup)?;
    runtime.block_on(async {
        // The sandbox lives in the server, so one is started for as long as it is asked.
        let folder = std::env::temp_dir().join(format!("breezeway-{}", new_id()));
        let stop = CancellationToken::new();
        let options = SandboxOptions::new(&config.server.origin(), folder.clone());
        let sandbox = match config.sandbox.enabled {
            true => Some(Sandbox::start(options, stop.clone()).await.map_err(Error::startup)?),
            false => None,
        };
        let is_sandbox = |name: &str| {
            config.resources.iter().any(|resource| {
                format!("{}.{}", resource.group, resource.name) == name
                    && config
                        .backends
                        .get(&resource.backend)
                        .is_some_and(|backend| matches!(backend.url, BackendUrl::Sandbox))
            })
        };
        if let Some(sandbox) =
            sandbox.as_ref().filter(|_| headers.is_empty() && is_sandbox(&asked.name))
        {
            let token = sandbox.machine_token();
            headers.extend(token.map(|token| bearer(token.expose_secret())).transpose()?);
        }
        let url = sandbox.as_ref().map(|sandbox| sandbox.api_url());
        let toml = data::describe(&config, &asked.name, &headers, url).await;
        stop.cancel();
        let _ = tokio::fs::remove_dir_all(folder).await;
        toml
    })
}

fn bearer(token: &str) -> Result<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::startup("BREEZEWAY_TOKEN is not a token"))?;
    value.set_sensitive(true);
    Ok((AUTHORIZATION, value))
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
