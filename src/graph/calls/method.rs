//! The TAP method of the tenant.

use crate::entra::{Call, GraphError, MethodConfiguration, MethodPatch};
use crate::graph::client::Client;
use crate::graph::exchange::Priority;
use crate::graph::wire;

const PATH: &str =
    "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/TemporaryAccessPass";

impl Client {
    /// Reads the tenant's TAP method.
    pub async fn method(&self, priority: Priority) -> Result<MethodConfiguration, GraphError> {
        let request = self.request(Call::Method, priority, PATH.to_owned());
        Ok(self.exchange.read::<wire::MethodAnswer>(&request).await?.into())
    }

    /// Changes the tenant's TAP method in one PATCH. Read it again afterwards, because Graph may recalculate other fields.
    pub async fn patch_method(&self, patch: &MethodPatch) -> Result<(), GraphError> {
        let request = self
            .request(Call::PatchMethod, Priority::Issue, PATH.to_owned())
            .with_body(&wire::MethodPatchBody::from(patch))?;
        self.exchange.send(&request).await.map(drop)
    }
}
