//! Running the server: one runtime per thread for requests, one shared for everything else.
//!
//! A request is served where it arrived, by a runtime of its own with its own upstream connections.
//! Runs, their log and the sandbox live on the shared runtime, so they outlast any request
//! (`docs/performance.md` has what this saves).

use std::{
    convert::Infallible,
    net::TcpListener,
    path::Path,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use leptos::config::{LeptosOptions, get_configuration};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{client::Peer, descriptors, front::Front, listen::listen, state::App};
use crate::{
    backend::IdleBody,
    config::Config,
    error::{Error, Result},
    sandbox::demo_people,
    store::{DataDirLock, DatabaseLock},
};

/// How long open streams may go on after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a stream has to notice that its run was saved and is over.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long refreshes may take to be saved.
const SETTLE: Duration = Duration::from_secs(20);
/// How long a client may leave a body that it began unfinished.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// How long a client may take to send a request's head.
const HEAD: Duration = Duration::from_secs(30);
/// How long a request's head may be, and how much of a body waits in memory, in bytes.
const LARGEST_HEAD: usize = 16 << 10;

/// Serves until SIGTERM or SIGINT, then drains.
pub fn serve(config: Config, config_path: &Path) -> Result<()> {
    descriptors::make_room();
    let leptos = leptos_options(&config, config_path)?;
    let listeners = listen(config.server.address, config.server.threads).map_err(Error::startup)?;
    let _alone = DataDirLock::take(&config.server.data_dir).map_err(Error::startup)?;
    let shared = Builder::new_multi_thread().enable_all().build().map_err(Error::startup)?;
    let alone = DatabaseLock::take(&config.server);
    let _alone_there = shared.block_on(alone).map_err(Error::startup)?;
    let (drain, end) = (CancellationToken::new(), CancellationToken::new());
    let app = shared.block_on(open(config, leptos, &shared, &end))?;
    let threads = listeners
        .into_iter()
        .map(|listener| serving_thread(&app, listener, drain.clone()))
        .collect::<Result<Vec<_>>>()?;
    print_welcome(&app);
    shared.block_on(async {
        begin_work(&app, shared.handle());
        stop_signal().await?;
        tracing::info!("stopping: no new requests; replies have ten seconds");
        drain.cancel();
        app.deliveries.stop();
        app.chat.shut_down(DRAIN).await;
        app.auth.settle(SETTLE).await;
        Ok::<_, Error>(())
    })?;
    join(threads);
    end.cancel();
    shared.block_on(app.store.close());
    shared.shutdown_timeout(LAST_WORDS);
    Ok(())
}

async fn open(
    config: Config,
    leptos: LeptosOptions,
    shared: &Runtime,
    end: &CancellationToken,
) -> Result<App> {
    let app = App::open(config, leptos, shared.handle(), end).await?;
    app.changes.recover().await?;
    match app.chat.recover().await? {
        0 => {}
        count => tracing::info!(count, "replies that a crash left behind were marked interrupted"),
    }
    Ok(app)
}

/// The part of the configuration file that Leptos reads for itself.
pub fn leptos_options(config: &Config, path: &Path) -> Result<LeptosOptions> {
    let file = path.to_str().filter(|_| path.exists());
    let mut options = match file.map(|file| get_configuration(Some(file))) {
        Some(Ok(file)) => file.leptos_options,
        _ => LeptosOptions::builder()
            .output_name("breezeway")
            .site_root("target/site")
            .hash_files(true)
            .build(),
    };
    options.site_addr = config.server.address;
    find_site(&mut options);
    Ok(options)
}

/// Warns of a site that is not there. No page can be rendered without the list of hashed names that
/// it is told to expect, so then it names its files plainly.
fn find_site(options: &mut LeptosOptions) {
    let site = Path::new(&*options.site_root).join(&*options.site_pkg_dir);
    let program = std::env::current_exe().unwrap_or_default();
    let names = program.with_file_name(&*options.hash_file);
    let is_unnamed = options.hash_files && !names.is_file();
    options.hash_files &= !is_unnamed;
    if is_unnamed || !site.is_dir() {
        tracing::warn!(
            folder = %site.display(),
            names = %names.display(),
            "the site's files are not there, so pages have neither style nor script; set \
             LEPTOS_SITE_ROOT or build them with `make build`"
        );
    }
}

fn serving_thread(
    app: &App,
    listener: TcpListener,
    drain: CancellationToken,
) -> Result<JoinHandle<()>> {
    let app = app.for_another_runtime()?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::startup)?;
    thread::Builder::new()
        .name("serve".to_owned())
        .spawn(move || {
            runtime.block_on(accept(Front::new(app), listener, drain));
        })
        .map_err(Error::startup)
}

/// Accepts connections until told to drain, then waits for those that are open.
pub async fn accept(front: Front, listener: TcpListener, drain: CancellationToken) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => return tracing::error!(%cause, "a listening socket cannot be used"),
    };
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => connect(&front, stream, Peer(peer.ip()), &open),
            Err(cause) => {
                tracing::warn!(%cause, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN + LAST_WORDS, open.shutdown()).await.is_err() {
        tracing::info!("connections that were still open were closed");
    }
}

fn connect(front: &Front, stream: tokio::net::TcpStream, peer: Peer, open: &GracefulShutdown) {
    // A streamed event is a small packet that must not wait for the next one.
    let _ = stream.set_nodelay(true);
    let front = front.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let front = front.clone();
        // hyper keeps room for this as long as the connection lives; boxed, ten kilobytes are given
        // back when a stream begins.
        Box::pin(async move {
            let request = request.map(body);
            Ok::<_, Infallible>(front.answer(peer, request).await)
        })
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        // Answers and events are small: copying them behind their head is cheaper than gathering.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(cause) = connection.await {
            tracing::debug!(%cause, "a connection ended early");
        }
    });
}

/// A body that is over before it began costs nothing; any other may not fall silent.
fn body(incoming: Incoming) -> Body {
    if incoming.is_end_stream() {
        return Body::empty();
    }
    Body::new(IdleBody::new(incoming, BODY_IDLE))
}

/// Starts what goes on beside the requests.
pub fn begin_work(app: &App, runtime: &Handle) {
    app.deliveries.work(runtime);
    let jobs = app.jobs.clone();
    runtime.spawn(async move { jobs.run_by_the_clock().await });
}

async fn stop_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::startup)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::startup)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // Whoever asks twice does not want to wait.
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(())
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a serving thread panicked");
        }
    }
}

fn print_welcome(app: &App) {
    let server = &app.config.server;
    println!("\n  Breezeway is at {}", server.origin());
    if app.sandbox.is_some() {
        println!("\n  Sign in as one of the demo people (password: sandbox):");
        for person in demo_people() {
            println!(
                "    {:<6} {:<10} {}, {}",
                person.user_name,
                person.name,
                person.tenant_name,
                person.roles.join(", ")
            );
        }
    }
    println!();
}
