//! What do all scenes of an interval together say about a field?

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Now;
use futures::{StreamExt, TryFutureExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::cog::{CogError, CogReader, FoundHeader, RawBand};
use super::compute::{Compute, ComputeError};
use super::stac::{Catalogue, Found, Search, SearchError};
use crate::domain::cloud::ClassSet;
use crate::domain::footprint::Footprint;
use crate::domain::grid::Grid;
use crate::domain::observation::{Bands, CloseObservation, Observation, observe, observe_closely};
use crate::domain::offset::OffsetFacts;
use crate::domain::outline::Outline;
use crate::domain::raster::{NdviGrid, TooWide, raster_of};
use crate::domain::scene::{Scene, best_copies};
use crate::domain::utm::{Utm, UtmError};

/// Attempts to read a scene whose files are replaced meanwhile.
const ATTEMPTS_MAX: usize = 2;

/// What can be made of a field's pixels in a scene.
type Computation<T> = fn(&Bands, &Footprint, &OffsetFacts, ClassSet) -> T;

/// How long a survey may take and how much it does at once.
#[derive(Clone, Debug)]
pub struct SurveySettings {
    /// Longest time for the search and all reads together.
    pub deadline: Duration,
    /// Scenes read at the same time for one survey.
    pub scenes_parallel: usize,
    /// Classes that do not count.
    pub masked: ClassSet,
}

/// How long something may take.
#[derive(Clone, Copy, Debug)]
struct Limit {
    until: Instant,
    longest: Duration,
}

/// Finds, reads and computes.
#[derive(Debug)]
pub struct Surveyor {
    catalogue: Catalogue,
    cogs: CogReader,
    compute: Compute,
    settings: SurveySettings,
}

/// What a survey found.
#[derive(Debug)]
pub struct Survey<T = Observation> {
    /// One entry for each scene, in order of time.
    pub scenes: Vec<Surveyed<T>>,
    /// Scenes that the catalogue lists in a form that cannot be read.
    pub unusable_scenes: usize,
}

/// A scene with its numbers, or with the reason why there are none.
#[derive(Debug)]
pub struct Surveyed<T = Observation> {
    /// The scene.
    pub scene: Scene,
    /// Its statistics of the field.
    pub outcome: Result<T, SceneError>,
}

impl Surveyor {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        catalogue: Catalogue,
        cogs: CogReader,
        compute: Compute,
        settings: SurveySettings,
    ) -> Self {
        Self { catalogue, cogs, compute, settings }
    }

    /// Statistics of every scene that the search finds. A scene that cannot be read does not
    /// spoil the others.
    ///
    /// # Errors
    /// When the search itself fails or takes all the time there is.
    pub async fn survey(&self, search: &Search, now: Now) -> Result<Survey, SurveyError> {
        self.survey_within(search, now, self.settings.deadline).await
    }

    /// The same with a time of its own, for work that no client waits for.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn survey_within(
        &self,
        search: &Search,
        now: Now,
        longest: Duration,
    ) -> Result<Survey, SurveyError> {
        self.survey_as(search, now, longest, observe).await
    }

    /// The same with every whole percentile.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn survey_closely(
        &self,
        search: &Search,
        now: Now,
    ) -> Result<Survey<CloseObservation>, SurveyError> {
        self.survey_as(search, now, self.settings.deadline, observe_closely).await
    }

    async fn survey_as<T: Send + 'static>(
        &self,
        search: &Search,
        now: Now,
        longest: Duration,
        compute: Computation<T>,
    ) -> Result<Survey<T>, SurveyError> {
        let limit = Limit { until: Instant::from_std(now.instant) + longest, longest };
        let found = self.search(search, limit).await?;
        let outline = Arc::new(search.outline.clone());
        let scenes = futures::stream::iter(best_copies(found.scenes))
            .map(|scene| self.surveyed(scene, Arc::clone(&outline), limit, compute))
            .buffered(self.settings.scenes_parallel)
            .collect()
            .await;
        Ok(Survey { scenes, unusable_scenes: found.unusable.len() })
    }

    /// The scenes that the search finds, one copy of each, in order of time.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn find(&self, search: &Search, now: Now) -> Result<Vec<Scene>, SurveyError> {
        let longest = self.settings.deadline;
        let limit = Limit { until: Instant::from_std(now.instant) + longest, longest };
        Ok(best_copies(self.search(search, limit).await?.scenes))
    }

    async fn search(&self, search: &Search, limit: Limit) -> Result<Found, SurveyError> {
        let found = timeout_at(limit.until, self.catalogue.search(search)).await;
        Ok(found.map_err(|_elapsed| SurveyError::Deadline(limit.longest))??)
    }

    async fn surveyed<T: Send + 'static>(
        &self,
        scene: Scene,
        outline: Arc<Outline>,
        limit: Limit,
        compute: Computation<T>,
    ) -> Surveyed<T> {
        let read = timeout_at(limit.until, self.read(&scene, &outline, compute));
        let outcome = match read.await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(SceneError::Deadline(limit.longest)),
        };
        if let Err(error) = &outcome {
            tracing::warn!(scene = scene.id, %error, "a scene could not be read");
        }
        Surveyed { scene, outcome }
    }

    /// The NDVI of each pixel of a field in one scene, by the same reads and rules as
    /// [`Surveyor::survey`].
    ///
    /// # Errors
    /// When the scene cannot be read within the deadline, or the field's parts lie too far apart.
    pub async fn raster(
        &self,
        scene: &Scene,
        outline: Arc<Outline>,
    ) -> Result<NdviGrid, SceneError> {
        let deadline = self.settings.deadline;
        let read = timeout(deadline, self.read(scene, &outline, raster_of));
        Ok(read.await.map_err(|_elapsed| SceneError::Deadline(deadline))???)
    }

    /// Reads the bands where the field is and has `compute` make something of them.
    async fn read<T: Send + 'static>(
        &self,
        scene: &Scene,
        outline: &Arc<Outline>,
        compute: Computation<T>,
    ) -> Result<T, SceneError> {
        let mut attempt = 1;
        loop {
            match self.attempt(scene, outline, compute).await {
                Err(error) if error.is_changed_file() && attempt < ATTEMPTS_MAX => {
                    // Files of one scene are replaced together; only the first to fail is known.
                    scene.files().for_each(|url| self.cogs.forget(url));
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt<T: Send + 'static>(
        &self,
        scene: &Scene,
        outline: &Arc<Outline>,
        compute: Computation<T>,
    ) -> Result<T, SceneError> {
        let headers = self.headers(scene).await?;
        let grid = headers.red.header.grid;
        if headers.nir.header.grid != grid {
            return Err(SceneError::GridsDiffer);
        }
        let shape = Arc::clone(outline);
        let footprint = self.compute.run(move || footprint(&shape, &grid)).await??;
        let raw = self.tiles(scene, &headers, &footprint, &grid).await?;
        let (facts, masked) = (scene.offset_facts.clone(), self.settings.masked);
        let computed = self.compute.run(move || {
            let bands = raw.decode()?;
            Ok::<_, CogError>(compute(&bands, &footprint, &facts, masked))
        });
        Ok(computed.await??)
    }

    async fn headers(&self, scene: &Scene) -> Result<Headers, CogError> {
        let scl = optionally(scene.scl.as_deref().map(|url| self.cogs.header(url)));
        let red = self.cogs.header(&scene.red);
        let nir = self.cogs.header(&scene.nir);
        let (red, nir, scl) = tokio::try_join!(red, nir, scl)?;
        Ok(Headers { red, nir, scl })
    }

    async fn tiles(
        &self,
        scene: &Scene,
        headers: &Headers,
        footprint: &Footprint,
        grid: &Grid,
    ) -> Result<RawBands, CogError> {
        let read = |url, header| self.cogs.tiles(url, header, footprint, grid);
        let scl = scene.scl.as_deref().zip(headers.scl.as_ref());
        let scl = optionally(scl.map(|(url, header)| read(url, header)));
        let red = read(&scene.red, &headers.red);
        let nir = read(&scene.nir, &headers.nir);
        let (red, nir, scl) = tokio::try_join!(red, nir, scl)?;
        Ok(RawBands { red, nir, scl })
    }
}

/// The pixels of the field in a scene.
fn footprint(outline: &Outline, grid: &Grid) -> Result<Footprint, UtmError> {
    let projected = Utm::new(grid.epsg)?.project_shape(outline.shape())?;
    Ok(Footprint::of(&projected, grid))
}

/// Waits for a future that may not be there.
async fn optionally<T, E>(
    future: Option<impl Future<Output = Result<T, E>>>,
) -> Result<Option<T>, E> {
    match future {
        Some(future) => future.map_ok(Some).await,
        None => Ok(None),
    }
}

struct Headers {
    red: FoundHeader,
    nir: FoundHeader,
    scl: Option<FoundHeader>,
}

struct RawBands {
    red: RawBand,
    nir: RawBand,
    scl: Option<RawBand>,
}

impl RawBands {
    fn decode(&self) -> Result<Bands, CogError> {
        let scl = self.scl.as_ref().map(RawBand::decode).transpose()?;
        Ok(Bands { red: self.red.decode()?, nir: self.nir.decode()?, scl })
    }
}

/// Why a survey has no result at all.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The catalogue failed.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The search took all the time there is.
    #[error("the catalogue did not answer within {} ms", .0.as_millis())]
    Deadline(Duration),
}

/// Why a scene has no numbers.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// A band cannot be read.
    #[error(transparent)]
    Cog(#[from] CogError),
    /// The field has no place on the scene's grid.
    #[error(transparent)]
    Projection(#[from] UtmError),
    /// The computation ended without a result.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// Red and near infrared do not lie on the same pixels.
    #[error("the red and near-infrared bands do not have the same grid")]
    GridsDiffer,
    /// The field's parts lie too far apart for one picture.
    #[error(transparent)]
    TooWide(#[from] TooWide),
    /// It took too long.
    #[error("the scene was not read within {} ms", .0.as_millis())]
    Deadline(Duration),
}

impl SceneError {
    /// Whether reading the scene again later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Deadline(_) => true,
            Self::Cog(CogError::Range(error)) => error.is_passing(),
            _ => false,
        }
    }

    fn is_changed_file(&self) -> bool {
        matches!(self, Self::Cog(error) if error.is_changed_file())
    }

    /// A stable word for clients; the text is for the operator's log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Deadline(_) => "deadline",
            Self::Projection(_) => "projection",
            Self::GridsDiffer => "grids_differ",
            Self::Compute(_) | Self::Cog(CogError::Compute(_)) => "computation",
            Self::Cog(CogError::Range(_)) => "read",
            Self::TooWide(_)
            | Self::Cog(CogError::TooManyBytes { .. } | CogError::TooManyPixels { .. }) => {
                "too_large"
            }
            Self::Cog(CogError::Header(_) | CogError::Tile(_) | CogError::Truncated) => "format",
        }
    }
}
