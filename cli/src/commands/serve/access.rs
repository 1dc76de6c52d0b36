//! Who may use the server: its secrets, its first owner, the names that it is reached by.

use std::{fs, io, net::IpAddr, path::Path};

use ipnet::IpNet;
use liteagent_engine::codes;
use liteagent_server::{Admin, JwtSecret, Server};
use url::Url;

use crate::{
    config::{keys::refused, setting},
    failure::Failure,
    kept,
};

/// The file in the data folder that keeps what access tokens are signed with.
const JWT_SECRET: &str = "jwt-secret";
/// The file in the data folder that holds the link of the first owner in production.
const FIRST_OWNER: &str = "first-owner-link";

/// What access tokens are signed with: `JWT_SECRET`; without it, what the data folder keeps, on a developer's machine.
pub(super) fn jwt_secret(given: Option<&str>, is_production: bool, data: &Path) -> Result<JwtSecret, Failure> {
    if let Some(secret) = given {
        return JwtSecret::new(secret).map_err(refused);
    }
    if is_production {
        return Err(Failure::usage(
            codes::SERVER_SECRET,
            "a server in production needs `JWT_SECRET`, and it is not set",
        )
        .hint("set it to a random text: `export JWT_SECRET=$(openssl rand -hex 32)`"));
    }
    let path = data.join(JWT_SECRET);
    let secret = kept::read_or_make(&path, JwtSecret::generate).map_err(|error| {
        let message = format!("the secret of access tokens `{}` cannot be used: {error}", path.display());
        Failure::usage(codes::SERVER_SECRET, message)
            .hint("delete the file: another is made, and everybody signs in again")
    })?;
    JwtSecret::new(&secret).map_err(refused)
}

/// The first owner, where the environment names one.
pub(super) fn admin() -> Result<Option<Admin>, Failure> {
    const EMAIL: &str = "LITEAGENT_ADMIN_EMAIL";
    const PASSWORD: &str = "LITEAGENT_ADMIN_PASSWORD";
    let missing = |name: &str, other: &str| {
        Err(Failure::usage(codes::CONFIG, format!("`{other}` is set, and `{name}` is not"))
            .hint("set both, or neither: then a link makes the first owner"))
    };
    match (setting(EMAIL), setting(PASSWORD)) {
        (Some(email), Some(password)) => Admin::new(&email, &password).map(Some).map_err(|why| {
            let why = refused(why);
            Failure { message: format!("`{EMAIL}` and `{PASSWORD}`: {}", why.message), ..why }
        }),
        (None, None) => Ok(None),
        (Some(_), None) => missing(PASSWORD, EMAIL),
        (None, Some(_)) => missing(EMAIL, PASSWORD),
    }
}

/// What to say while there is no user: the link of the first owner, or where it stands. In production terminals are logs.
pub(super) fn first_owner(
    server: &Server,
    url: &str,
    is_production: bool,
    data: &Path,
) -> Result<Option<String>, Failure> {
    let path = data.join(FIRST_OWNER);
    let cannot = |what: &str, error: io::Error| {
        Failure::platform(codes::STORE_READ_ONLY, format!("cannot {what} `{}`: {error}", path.display()))
            .hint("set `LITEAGENT_DATA` to a folder that can be written")
    };
    let Some(link) = server.first_owner_link() else {
        return match fs::remove_file(&path) {
            // A link that was used is of no use.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("delete", error)),
            _ => Ok(None),
        };
    };
    if !is_production {
        return Ok(Some(format!("there is no user yet: become the owner at {url}{link}")));
    }
    kept::write(&path, &format!("{url}{link}")).map_err(|error| cannot("write", error))?;
    Ok(Some(format!("there is no user yet: the link in `{}` makes the owner, once, for a day", path.display())))
}

/// A name of a server.
pub(super) fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !text.is_empty() && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("expected a name such as `agents.example.org`, without scheme and port, found `{text}`"))
}

/// The origin of a page, as browsers write it.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wrong = || format!("expected an origin such as `https://app.example.org`, without a path, found `{text}`");
    let url = Url::parse(text).map_err(|_| wrong())?;
    let origin = url.origin().ascii_serialization();
    // A star is part of no name, and stands for none here.
    let is_one = matches!(url.scheme(), "http" | "https")
        && !origin.contains('*')
        && origin.eq_ignore_ascii_case(text.trim_end_matches('/'));
    if is_one { Ok(origin) } else { Err(wrong()) }
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        format!("expected an address such as `10.0.0.1`, or a network such as `10.0.0.0/8`, found `{text}`")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_made_once_on_a_developers_machine_and_demanded_in_production() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert!(jwt_secret(None, false, &data).is_ok());
        let path = data.join(JWT_SECRET);
        let first = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(jwt_secret(None, false, &data).is_ok());
        assert_eq!(fs::read_to_string(&path).unwrap(), first);

        let code = |given, is_production| jwt_secret(given, is_production, &data).unwrap_err().code;
        assert_eq!(code(None, true), Some(codes::SERVER_SECRET));
        assert_eq!(code(Some("changeme"), false), Some(codes::SERVER_SECRET));
        assert!(jwt_secret(Some(&JwtSecret::generate()), true, &data).is_ok());
    }

    #[test]
    fn names_and_networks_are_checked() {
        assert!(name("agents.example.org").is_ok());
        for wrong in ["", "https://agents.example.org", "agents.example.org:443"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert_eq!(origin("https://App.example.org/").unwrap(), "https://app.example.org");
        assert_eq!(origin("http://localhost:3000").unwrap(), "http://localhost:3000");
        for wrong in
            ["*", "null", "app.example.org", "https://app.example.org/page", "https://*.example.org/", "file:///x"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
        assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert!(network("proxy").is_err());
    }
}
