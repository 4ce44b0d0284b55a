//! nginx as a plain reverse proxy: the floor that a gateway is measured against.

use std::{
    fs,
    process::{Child, Command},
};

use super::support::{answers, free_port};

/// One process of nginx.
pub struct Nginx {
    child: Child,
    pub origin: String,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it in front of `upstream`; `None` when it is not installed.
    pub async fn start(upstream: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, place) = (free_port(), folder.path().display());
        let server = upstream.trim_start_matches("http://");
        let config = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr crit;
             events {{ worker_connections 4096; }}
             http {{
               access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
               fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
               keepalive_requests 1000000000;
               upstream backend {{ server {server}; keepalive 256; keepalive_requests 1000000000; }}
               server {{
                 listen 127.0.0.1:{port};
                 location / {{
                   proxy_pass http://backend; proxy_http_version 1.1;
                   proxy_set_header Connection \"\";
                 }}
               }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).expect("a configuration file");
        let child = Command::new("nginx").arg("-c").arg(&file).spawn().ok()?;
        let nginx = Self { child, origin: format!("http://127.0.0.1:{port}"), folder };
        answers(&format!("{}/x", nginx.origin)).await;
        Some(nginx)
    }

    /// The operating system's number for it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(self.folder.path());
    }
}
