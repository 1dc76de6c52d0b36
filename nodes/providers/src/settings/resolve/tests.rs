use std::collections::BTreeMap;

use liteagent_engine::capability::{SecretRules, VaultSecret};

use super::*;

fn read(toml: &str, env: &[(&str, &str)], secrets: &Arc<Secrets>) -> Result<Deployment, SettingError> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct File {
        providers: BTreeMap<String, ProviderSettings>,
        models: BTreeMap<String, Names>,
    }
    let file: File = toml::from_str(toml).unwrap();
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    resolve(&file.providers, &file.models, secrets, &|name| env.get(name).map(|value| (*value).to_owned()))
}

fn wrong(toml: &str, env: &[(&str, &str)]) -> String {
    let error = read(toml, env, &Arc::default()).unwrap_err();
    format!("{}: {}", error.place, error.message)
}

#[test]
fn a_key_of_the_environment_goes_to_its_own_provider_only() {
    let none = Arc::<Secrets>::default();
    let keys = [("OPENAI_API_KEY", "sk-1"), ("ANTHROPIC_API_KEY", "sk-2")];
    let usual = read("", &keys, &none).unwrap();
    assert_eq!(usual.providers["openai"].key.value().as_deref(), Some("sk-1"));
    assert_eq!(usual.endpoints(), ["127.0.0.1:11434"], "only a configured address is allowed");

    // A project cannot send the key elsewhere; the environment can.
    let moved = read("[providers.openai]\nbase_url = \"https://evil.test/v1\"", &keys, &none).unwrap();
    let openai = &moved.providers["openai"];
    assert_eq!((openai.key.value().as_deref(), openai.key.is_needed, openai.vendor), (None, true, ""));
    let moved = read("", &[("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "http://10.0.0.1:4000/v1")], &none).unwrap();
    assert_eq!(moved.providers["openai"].key.value().as_deref(), Some("sk-1"));
    assert!(moved.endpoints().contains(&"10.0.0.1:4000".to_owned()));
    assert!(!format!("{usual:?}").contains("sk-1"), "keys are shown nowhere");
}

#[test]
fn a_secret_goes_where_its_owner_says() {
    let toml = "[providers.work]\nbase_url = \"https://llm.test/v1\"\nkey = \"WORK\"\nmodels.big = { input = 1.0, output = 2.0 }";
    let rules = |host: &str| SecretRules { hosts: Some(vec![host.parse().unwrap()]), workflows: None };
    let secrets = |host: &str| {
        let secrets = Secrets::new([("WORK".to_owned(), "s3cret".to_owned())]);
        Arc::new(secrets.with_rules([("WORK".to_owned(), rules(host))]))
    };
    let work = read(toml, &[], &secrets("llm.test")).unwrap().providers["work"].clone();
    assert_eq!(work.key.value().as_deref(), Some("s3cret"));
    assert_eq!((work.usual.chat.as_deref(), work.facts("big").output), (Some("big"), Some(2.0)));
    let refused = read(toml, &[], &secrets("other.test")).unwrap_err();
    assert_eq!(refused.place, "providers.work.key");
    assert!(refused.message.contains("may not be sent to `llm.test`"), "{}", refused.message);
}

#[test]
fn a_key_of_the_vault_may_change_while_the_process_lives() {
    let toml = "[providers.work]\nbase_url = \"https://llm.test/v1\"\nkey = \"WORK\"";
    let secrets = Arc::<Secrets>::default();
    let set = |value: &str, host: &str| {
        let rules = SecretRules { hosts: Some(vec![host.parse().unwrap()]), workflows: None };
        secrets.set_vault([("WORK".to_owned(), VaultSecret { value: Ok(value.into()), rules })]);
    };
    set("first", "llm.test");
    let work = read(toml, &[], &secrets).unwrap().providers["work"].clone();
    assert_eq!(work.key.value().as_deref(), Some("first"));
    set("second", "llm.test");
    assert_eq!(work.key.value().as_deref(), Some("second"));
    set("second", "other.test");
    assert_eq!(work.key.value(), None, "it may not be sent there any more");
}

#[test]
fn wrong_settings_are_named_with_their_place() {
    let provider = |line: &str| format!("[providers.x]\nbase_url = \"https://x.test\"\n{line}");
    for (toml, expected) in [
        ("[providers.x]", "providers.x.base_url: expected the address of the provider"),
        ("[providers.x]\nbase_url = \"x\"", "providers.x.base_url: expected an address such as"),
        ("[providers.x]\nbase_url = \"ftp://x\"", "providers.x.base_url: expected an address with `http`"),
        ("[providers.x]\nbase_url = \"https://u:p@x\"", "providers.x.base_url: expected an address without user name"),
        (&provider("in_flight = 0"), "providers.x.in_flight: expected a number above 0, found 0"),
        (&provider("first_token = \"2d\""), "providers.x.first_token: expected a time up to `1d`, found `2d`"),
        (&provider("headers.host = \"y\""), "providers.x.headers: expected the name of a header, found `host`"),
        ("[providers.local]\nbase_url = \"https://x\"", "providers.local.: `local` is the name"),
        ("[models]\nsmart = \"nobody/m\"", "models.smart: expected a provider that is configured, found `nobody`"),
        ("[models]\nsmart = \"gpt\"", "models.smart: expected `PROVIDER/MODEL` or an alias, found `gpt`"),
        ("[models]\na = \"b\"\nb = [\"openai/x\", \"a\"]", "models.a: the alias leads back to itself"),
        ("[models]\nembed = [\"openai/x\", \"openai/y\"]", "models.embed: expected one model"),
        ("[models]\nsmart = []", "models.smart: expected the name of a model, found an empty list"),
    ] {
        let said = wrong(toml, &[]);
        assert!(said.starts_with(expected), "{said}");
    }
    assert!(wrong("", &[("LITEAGENT_MODEL", "gpt")]).starts_with("LITEAGENT_MODEL: expected `PROVIDER/MODEL`"));
    assert!(wrong("", &[("OPENAI_BASE_URL", "x")]).starts_with("OPENAI_BASE_URL: expected an address"));
}

#[test]
fn ollama_is_found_however_its_host_is_written() {
    for (host, url) in [
        ("", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("box", "http://box:11434/v1"),
        ("box:8000", "http://box:8000/v1"),
        ("https://box/", "https://box:443/v1"),
        ("http://box:11434/v1", "http://box:11434/v1"),
        ("[::1]:11434", "http://[::1]:11434/v1"),
    ] {
        assert_eq!(ollama_url(host), url, "{host}");
    }
    let azure = [("AZURE_OPENAI_API_KEY", "k"), ("AZURE_OPENAI_ENDPOINT", "https://a.openai.azure.com")];
    let azure = read("", &azure, &Arc::default()).unwrap();
    let azure = &azure.providers["azure"];
    assert_eq!((azure.vendor, azure.auth, azure.key.value().as_deref()), ("azure", Auth::Header("api-key"), Some("k")));
}
