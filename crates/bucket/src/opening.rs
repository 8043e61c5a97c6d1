//! Opens a store for one process: checks it, identifies it, claims it, and reads its tenants.
//!
//! What does not depend on each other is asked at once, so that a start over a slow store takes few
//! trips. Nothing is written before the claim, except for the objects of the probe.

use crate::claim::{Claim, Seen, TakeOver};
use crate::tenants::Register;
use crate::{Bucket, DataDir, Deployment, Error, StoreCost, Tenants, probe};

/// A store that belongs to this process.
#[derive(Debug)]
pub struct Opening {
    pub claim: Claim,
    pub tenants: Tenants,
    /// What a GET costs, by the GETs of the probe.
    pub cost: StoreCost,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct OpeningError {
    /// What was tried.
    step: &'static str,
    #[source]
    source: Error,
}

fn at(step: &'static str) -> impl FnOnce(Error) -> OpeningError {
    move |source| OpeningError { step, source }
}

impl Opening {
    /// Opens the store of `bucket` for the process with the data directory `data_dir`.
    ///
    /// Requests: those of [`probe::probe`], one GET for the deployment, those of [`Claim::take`] and
    /// [`Tenants::read`], and one GET that finds no more tenants. Five trips one after the other; more
    /// if the store is new, or has more than 1,000 starts or tenants.
    pub async fn open(
        bucket: &Bucket,
        data_dir: &mut DataDir,
        take_over: TakeOver,
    ) -> Result<Self, OpeningError> {
        let examined = probe::Examined::of(bucket);
        let (probed, deployment, seen, register) = tokio::join!(
            probe::examine(bucket, &examined),
            Deployment::find(bucket),
            Seen::of(bucket, take_over),
            Tenants::read(bucket),
        );

        let claimed = async {
            let (_, cost) = probed.map_err(at("probe the store"))?;
            let register = register.map_err(at("load the tenants"));

            let deployment = match deployment.map_err(at("identify the store"))? {
                Some(deployment) => deployment,
                None => Deployment::open(bucket)
                    .await
                    .map_err(at("identify the store"))?,
            };

            data_dir
                .bind(&deployment)
                .map_err(at("identify the store"))?;

            let claim = seen.map_err(at("claim the store"))?;
            let claim = claim.take(data_dir).await.map_err(at("claim the store"))?;

            Ok((claim, register?, cost))
        };

        // The object of the probe is removed whatever becomes of the claim.
        let (claimed, removed) = tokio::join!(claimed, examined.remove(bucket));
        let (claim, register, cost): (Claim, Register, StoreCost) = claimed?;
        removed.map_err(at("probe the store"))?;

        claim.outlast().await;

        // The former holder may have added tenants until it lost the store.
        let tenants = Tenants::over(register, bucket.clone(), claim.identity().writer);
        tenants.refresh().await.map_err(at("load the tenants"))?;

        Ok(Self {
            claim,
            tenants,
            cost,
        })
    }
}
