//! The dashboards of Grafana: rows of panels, each with what it asks Prometheus.

use serde_json::{Value as Json, json};

/// A dashboard.
struct Dashboard {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    panels: &'static [Panel],
}

/// A panel: its title, the unit of its values as Grafana names it, and what is drawn.
struct Panel(&'static str, &'static str, &'static [Line]);

/// What is drawn, and how it is called: `{{label}}` stands for a label.
struct Line(&'static str, &'static str);

const ALL: [Dashboard; 5] = [
    Dashboard {
        name: "stuck-work",
        title: "LiteAgent: stuck work",
        about: "Whether runs, waits and schedules are handled in time.",
        panels: &[
            Panel("Oldest run that waits for a process", "s", &[Line("max(liteagent_run_oldest_seconds)", "oldest")]),
            Panel("Wait that is overdue the longest", "s", &[Line("max(liteagent_wake_overdue_seconds)", "overdue")]),
            Panel("Schedule that is late the longest", "s", &[Line("max(liteagent_schedule_lag_seconds)", "late")]),
            Panel(
                "Since runs were last looked for",
                "s",
                &[Line("time() - max(liteagent_reconciler_last_success_timestamp)", "ago")],
            ),
            Panel(
                "Runs that have not ended",
                "short",
                &[
                    Line("max by (phase) (liteagent_runs)", "{{phase}}"),
                    Line("max(liteagent_runs_runnable)", "someone should take"),
                ],
            ),
            Panel("Runs that a restore holds back", "short", &[Line("max(liteagent_runs_held)", "held")]),
            Panel("Runs by process", "short", &[Line("liteagent_runs_executed", "{{instance}}")]),
        ],
    },
    Dashboard {
        name: "durability",
        title: "LiteAgent: durability",
        about: "Whether what runs do is recorded, and how fast.",
        panels: &[
            Panel(
                "Commits to journals",
                "s",
                &[
                    Line("histogram_quantile(0.5, sum by (le) (rate(liteagent_append_seconds_bucket[5m])))", "p50"),
                    Line("histogram_quantile(0.99, sum by (le) (rate(liteagent_append_seconds_bucket[5m])))", "p99"),
                ],
            ),
            Panel("Commits a second", "ops", &[Line("sum(rate(liteagent_append_seconds_count[5m]))", "commits")]),
            Panel(
                "Commits refused and failed",
                "short",
                &[
                    Line("sum(increase(liteagent_append_refused_total[5m]))", "refused"),
                    Line("sum(increase(liteagent_append_failed_total[5m]))", "failed"),
                ],
            ),
            Panel(
                "Nodes lost",
                "short",
                &[Line("sum by (cause) (increase(liteagent_node_lost_total[5m]))", "{{cause}}")],
            ),
            Panel(
                "Disk free",
                "percentunit",
                &[Line("min(liteagent_disk_free_bytes / liteagent_disk_total_bytes)", "free")],
            ),
            Panel(
                "Age of the last backup",
                "s",
                &[Line("time() - max(liteagent_backup_last_success_timestamp)", "age")],
            ),
            Panel(
                "Engine overhead of a run",
                "s",
                &[
                    Line(
                        "histogram_quantile(0.5, sum by (le) (rate(liteagent_engine_overhead_seconds_bucket[5m])))",
                        "p50",
                    ),
                    Line(
                        "histogram_quantile(0.99, sum by (le) (rate(liteagent_engine_overhead_seconds_bucket[5m])))",
                        "p99",
                    ),
                ],
            ),
        ],
    },
    Dashboard {
        name: "outcome",
        title: "LiteAgent: outcome by workflow",
        about: "What becomes of runs and nodes.",
        panels: &[
            Panel(
                "Runs that ended",
                "short",
                &[Line(
                    "sum by (workflow, status) (increase(liteagent_runs_ended_total[5m]))",
                    "{{workflow}} {{status}}",
                )],
            ),
            Panel(
                "Share of runs that fail",
                "percentunit",
                &[Line(
                    "sum by (workflow) (rate(liteagent_runs_ended_total{status=\"failed\"}[15m])) / sum by (workflow) (rate(liteagent_runs_ended_total[15m]))",
                    "{{workflow}}",
                )],
            ),
            Panel(
                "Failures by class",
                "short",
                &[Line("sum by (class) (increase(liteagent_runs_ended_total{status=\"failed\"}[5m]))", "{{class}}")],
            ),
            Panel(
                "Runs: p95 from start to end",
                "s",
                &[Line(
                    "histogram_quantile(0.95, sum by (le, workflow) (rate(liteagent_run_seconds_bucket[15m])))",
                    "{{workflow}}",
                )],
            ),
            Panel(
                "Nodes: p95 by type",
                "s",
                &[Line(
                    "histogram_quantile(0.95, sum by (le, type) (rate(liteagent_node_seconds_bucket[5m])))",
                    "{{type}}",
                )],
            ),
            Panel(
                "Attempts of nodes that fail",
                "short",
                &[Line("sum by (type, class) (increase(liteagent_node_failures_total[5m]))", "{{type}} {{class}}")],
            ),
            Panel(
                "Runs that wait for a time, a signal or a person",
                "short",
                &[Line("max(liteagent_runs{phase=\"waiting\"})", "waiting")],
            ),
            Panel(
                "Runs that begin",
                "short",
                &[Line("sum by (workflow) (increase(liteagent_runs_started_total[5m]))", "{{workflow}}")],
            ),
        ],
    },
    Dashboard {
        name: "models",
        title: "LiteAgent: models and money",
        about: "What models are asked, how fast they answer, and what that costs.",
        panels: &[
            Panel(
                "Cost an hour",
                "currencyUSD",
                &[Line("sum by (model) (rate(liteagent_model_cost_dollars_total[1h])) * 3600", "{{model}}")],
            ),
            Panel(
                "Calls whose price is not known",
                "short",
                &[Line("sum(increase(liteagent_cost_unpriced_calls_total[1h]))", "calls")],
            ),
            Panel(
                "Calls by outcome",
                "short",
                &[Line("sum by (model, status) (increase(liteagent_model_calls_total[5m]))", "{{model}} {{status}}")],
            ),
            Panel(
                "Tokens a second",
                "short",
                &[Line(
                    "sum by (model, direction) (rate(liteagent_model_tokens_total[5m]))",
                    "{{model}} {{direction}}",
                )],
            ),
            Panel(
                "First token: p95",
                "s",
                &[Line(
                    "histogram_quantile(0.95, sum by (le, model) (rate(liteagent_model_first_token_seconds_bucket[5m])))",
                    "{{model}}",
                )],
            ),
            Panel(
                "Whole calls: p95",
                "s",
                &[Line(
                    "histogram_quantile(0.95, sum by (le, model) (rate(liteagent_model_call_seconds_bucket[5m])))",
                    "{{model}}",
                )],
            ),
            Panel(
                "Calls refused by providers (429)",
                "short",
                &[Line("sum by (provider) (increase(liteagent_model_refused_total[5m]))", "{{provider}}")],
            ),
            Panel(
                "Waiting for limits: p95",
                "s",
                &[Line(
                    "histogram_quantile(0.95, sum by (le, provider) (rate(liteagent_limiter_wait_seconds_bucket[5m])))",
                    "{{provider}}",
                )],
            ),
            Panel(
                "Providers that are left alone (2) or tried (1)",
                "short",
                &[Line("max by (provider) (liteagent_breaker_state)", "{{provider}}")],
            ),
            Panel(
                "The budget of this month",
                "percentunit",
                &[Line("max by (of) (liteagent_budget_used_ratio)", "{{of}}")],
            ),
        ],
    },
    Dashboard {
        name: "front-door",
        title: "LiteAgent: front door and cage",
        about: "Requests that come in, requests that go out, and code.",
        panels: &[
            Panel(
                "Requests a second",
                "reqps",
                &[Line("sum by (status) (rate(liteagent_http_requests_total[5m]))", "{{status}}")],
            ),
            Panel(
                "Requests: p99 by route",
                "s",
                &[Line(
                    "histogram_quantile(0.99, sum by (le, method, route) (rate(liteagent_http_request_seconds_bucket[5m])))",
                    "{{method}} {{route}}",
                )],
            ),
            Panel(
                "Open requests and streams",
                "short",
                &[Line("sum(liteagent_http_in_flight)", "requests"), Line("sum(liteagent_http_streams)", "streams")],
            ),
            Panel(
                "Requests without good credentials",
                "short",
                &[Line("sum(increase(liteagent_auth_failures_total[5m]))", "refused")],
            ),
            Panel(
                "Addresses that may not be reached",
                "short",
                &[Line("sum by (purpose) (increase(liteagent_egress_refused_total[5m]))", "{{purpose}}")],
            ),
            Panel(
                "Code: waiting and running, p95",
                "s",
                &[
                    Line(
                        "histogram_quantile(0.95, sum by (le) (rate(liteagent_sandbox_wait_seconds_bucket[5m])))",
                        "waiting",
                    ),
                    Line(
                        "histogram_quantile(0.95, sum by (le, language) (rate(liteagent_sandbox_seconds_bucket[5m])))",
                        "{{language}}",
                    ),
                ],
            ),
            Panel(
                "Code stopped at a limit",
                "short",
                &[Line("sum by (limit) (increase(liteagent_sandbox_killed_total[5m]))", "{{limit}}")],
            ),
            Panel("Memory", "bytes", &[Line("liteagent_process_resident_memory_bytes", "{{instance}}")]),
            Panel("Open files and connections", "short", &[Line("liteagent_process_open_fds", "{{instance}}")]),
            Panel("Releases", "short", &[Line("count by (version) (liteagent_build_info)", "{{version}}")]),
        ],
    },
];

/// Every dashboard with the name of its file.
pub(super) fn all() -> impl Iterator<Item = (String, String)> {
    ALL.iter().map(|dashboard| {
        let text = serde_json::to_string_pretty(&dashboard.json()).expect("texts and numbers have a JSON form");
        (format!("deploy/observability/dashboards/{}.json", dashboard.name), format!("{text}\n"))
    })
}

impl Dashboard {
    fn json(&self) -> Json {
        let panels: Vec<Json> = self.panels.iter().zip(0_usize..).map(|(panel, at)| panel.json(at)).collect();
        json!({
            "uid": format!("liteagent-{}", self.name),
            "title": self.title,
            "description": self.about,
            "tags": ["liteagent"],
            "schemaVersion": 39,
            "refresh": "30s",
            "time": { "from": "now-6h", "to": "now" },
            "templating": { "list": [{ "name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus" }] },
            "panels": panels,
        })
    }
}

impl Panel {
    /// Two panels stand in a row.
    fn json(&self, at: usize) -> Json {
        const WIDTH: usize = 12;
        const HEIGHT: usize = 8;
        let Self(title, unit, lines) = self;
        let targets = lines.iter().zip('A'..).map(
            |(Line(ask, name), reference)| json!({ "refId": reference.to_string(), "expr": ask, "legendFormat": name }),
        );
        json!({
            "id": at + 1,
            "type": "timeseries",
            "title": title,
            "datasource": { "type": "prometheus", "uid": "${source}" },
            "gridPos": { "x": at % 2 * WIDTH, "y": at / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT },
            "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
            "targets": targets.collect::<Vec<_>>(),
        })
    }
}
