//! `sandbox` without a subcommand: serves until it is told to stop.

use std::{net::IpAddr, time::Duration};

use liteagent_engine::codes;
use liteagent_sandbox_service::{Ended, Listeners, Service, Settings, serve};

use crate::{
    config::setting,
    failure::{Exit, Failure},
    listening::{Listening, told},
    platform::block_on,
    project::Project,
    sandbox::{self, Place},
    shell::Shell,
};

/// How the service is started; flags win over the environment, and that over `liteagent.toml`.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// The address to listen on; other machines reach it only when it is none of loopback
    #[arg(long, env = "SANDBOX_HOST", default_value = "127.0.0.1", value_name = "ADDRESS", hide_env_values = true)]
    host: IpAddr,
    /// The port to listen on
    #[arg(long, env = "SANDBOX_PORT", default_value_t = 8194, hide_env_values = true)]
    port: u16,
    /// The address to serve metrics on
    #[arg(
        long,
        env = "SANDBOX_METRICS_HOST",
        default_value = "127.0.0.1",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    metrics_host: IpAddr,
    /// The port to serve metrics on
    #[arg(long, env = "SANDBOX_METRICS_PORT", default_value_t = 9194, value_name = "PORT", hide_env_values = true)]
    metrics_port: u16,
    /// How many calls of a language run at once [default: 64]
    #[arg(long, env = "SANDBOX_CONCURRENCY", value_name = "COUNT", hide_env_values = true)]
    concurrency: Option<u32>,
    /// How many calls may wait [default: 256]
    #[arg(long, env = "SANDBOX_QUEUE", value_name = "COUNT", hide_env_values = true)]
    queue: Option<usize>,
    /// How many threads compute [default: one for each core]
    #[arg(long, env = "SANDBOX_THREADS", value_name = "COUNT", hide_env_values = true)]
    threads: Option<usize>,
    /// How many child processes there are, when other machines reach the service [default: one for each thread]
    #[arg(long, env = "SANDBOX_PROCESSES", value_name = "COUNT", hide_env_values = true)]
    processes: Option<usize>,
    /// How many seconds calls that run may take after the service was told to stop
    #[arg(long, env = "SANDBOX_DRAIN", default_value_t = 30, value_name = "SECONDS", hide_env_values = true)]
    drain: u64,
}

impl Serve {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let mut project = Project::here()?;
        let config = &mut project.config.sandbox;
        config.concurrency = self.concurrency.or(config.concurrency);
        config.queue = self.queue.or(config.queue);
        config.threads = self.threads.or(config.threads);
        config.processes = self.processes.or(config.processes);
        block_on(self.serve(shell, &project))
    }

    async fn serve(&self, shell: &Shell, project: &Project) -> Result<Exit, Failure> {
        let is_loopback = self.host.is_loopback();
        let config = sandbox::config(project)?;
        let (key, kept) = sandbox::key::find(setting("SANDBOX_API_KEY").as_deref(), is_loopback, &project.data())?;
        let calls = Listening::on(self.host, self.port, "--port", codes::SANDBOX_LISTEN).await?;
        let metrics =
            Listening::on(self.metrics_host, self.metrics_port, "--metrics-port", codes::SANDBOX_LISTEN).await?;
        let told = |times| told(times).map_err(|error| cannot("wait for signals", &error));
        let (stop, stop_now) = (told(1)?, told(2)?);

        // Who can be reached by others keeps keys and code apart.
        let apart = !is_loopback || sandbox::is_production(setting)?;
        let place = if apart { Place::Children(sandbox::processes(project)) } else { Place::Here };
        let most_body = usize::try_from(config.maximum.input).unwrap_or(usize::MAX);
        let runner = sandbox::start(config, &place).await.map_err(sandbox::unusable)?;
        runner.ready().await.map_err(sandbox::unusable)?;
        shell.note(format!("sandbox: http://{}; code runs {}", calls.address, runner.describe()));
        shell.note(format!("metrics: http://{}/metrics", metrics.address));
        if let Some(path) = kept {
            shell.note(format!("key: {} (send what it holds as `X-Api-Key`)", path.display()));
        }

        let service = Service::new(Settings { runner, key, most_body, packages: liteagent_sandbox::packages() });
        let listeners = Listeners { calls: calls.listener, metrics: metrics.listener };
        let serving = serve(&service, listeners, stop, Duration::from_secs(self.drain));
        let ended = tokio::select! {
            ended = serving => ended.map_err(|error| cannot("listen", &error))?,
            () = stop_now => return Ok(Exit::Interrupted),
        };
        if ended == Ended::CutOff {
            shell.note(format!("calls that still ran after {} s were ended", self.drain));
        }
        Ok(Exit::Done)
    }
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::platform(codes::SANDBOX_LISTEN, format!("the sandbox cannot {what}: {error}"))
}
