//! Names to addresses, all of them checked: what is returned is what is connected to.

use std::{net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::EgressPolicy;

/// Resolves names and refuses a name as soon as one of its addresses is not allowed.
pub(super) struct GuardedResolver {
    pub(super) policy: Arc<EgressPolicy>,
    /// Whether it serves hosts that the policy allows by name.
    pub(super) named: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, named) = (self.policy.clone(), self.named);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() {
                return Err(format!("`{}` has no address", name.as_str()).into());
            }
            for address in &found {
                policy.check(name.as_str(), address.ip(), named)?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
