//! The command line: serve, check, migrate, resources describe.

#[cfg(feature = "ssr")]
fn main() -> std::process::ExitCode {
    breezeway::server::command::run()
}

#[cfg(not(feature = "ssr"))]
fn main() {}
