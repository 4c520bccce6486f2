//! Which scene of a day shows most of a field, and what does it show?

use std::sync::Arc;

use chassis::clock::Now;
use jiff::Timestamp;

use super::{Blank, PictureAsk};
use crate::domain::buckets::Gap;
use crate::domain::outline::Outline;
use crate::domain::raster::NdviGrid;
use crate::domain::scene::Scene;
use crate::scenes::compute::Compute;
use crate::scenes::stac::Search;
use crate::scenes::survey::{SceneError, SurveyError, Surveyor};

/// Scenes of one day that are looked at: a field lies in four tiles at most.
const SCENES_MAX: usize = 4;

/// The values behind a picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) grid: NdviGrid,
    pub(super) scene_id: String,
    pub(super) acquired_at: Timestamp,
}

impl View {
    /// Memory that it takes, nearly.
    pub(super) fn bytes(&self) -> usize {
        self.grid.values.len() * size_of::<Option<f32>>()
    }
}

pub(super) async fn view(
    surveyor: &Surveyor,
    compute: &Compute,
    ask: PictureAsk,
    now: Now,
) -> Result<View, Blank> {
    let PictureAsk { field, date, max_cloud_percent, .. } = ask;
    // Its size was checked when it came, by the bound of that time.
    let outline = compute.run(move || Outline::new(field.geometry, f64::INFINITY)).await;
    let outline = outline.map_err(|_panicked| Blank::Internal)?.map_err(|error| {
        tracing::error!(%error, "a stored outline cannot be used");
        Blank::Internal
    })?;
    let search =
        Search { outline: outline.clone(), start: date, end: date, max_cloud_percent: None };
    let scenes = surveyor.find(&search, now).await.map_err(|error| no_scenes(&error))?;
    let scenes = clear_enough(scenes, max_cloud_percent)?;
    best(surveyor, scenes, Arc::new(outline)).await
}

/// Those that are not cloudier than asked for, which is another reason than that there are none.
fn clear_enough(scenes: Vec<Scene>, max_percent: Option<f64>) -> Result<Vec<Scene>, Blank> {
    if scenes.is_empty() {
        return Err(Blank::Nothing(Gap::NoScene));
    }
    let clear: Vec<Scene> = scenes
        .into_iter()
        .filter(|scene| {
            let both = scene.cloud_cover_percent.zip(max_percent);
            both.is_none_or(|(cover, max)| cover <= max)
        })
        .collect();
    if clear.is_empty() { Err(Blank::Nothing(Gap::Cloud)) } else { Ok(clear) }
}

async fn best(
    surveyor: &Surveyor,
    scenes: Vec<Scene>,
    outline: Arc<Outline>,
) -> Result<View, Blank> {
    let mut best: Option<View> = None;
    let mut blank = Blank::Nothing(Gap::NoData);
    for scene in scenes.into_iter().take(SCENES_MAX) {
        match surveyor.raster(&scene, Arc::clone(&outline)).await {
            Ok(grid)
                if grid.valid_count() > best.as_ref().map_or(0, |best| best.grid.valid_count()) =>
            {
                let Scene { id: scene_id, acquired_at, .. } = scene;
                best = Some(View { grid, scene_id, acquired_at });
            }
            // What has a classification and shows nothing is hidden.
            Ok(grid) if grid.columns > 0 && scene.scl.is_some() => {
                blank = Blank::Nothing(Gap::Cloud);
            }
            Ok(_outside) => {}
            Err(error) => {
                tracing::warn!(scene = scene.id, %error, "a scene could not be painted");
                blank = unreadable(&error);
            }
        }
    }
    best.ok_or(blank)
}

fn no_scenes(error: &SurveyError) -> Blank {
    tracing::warn!(%error, "no scene could be looked for");
    match error {
        SurveyError::Search(_) => Blank::Unreadable,
        SurveyError::Deadline(_) => Blank::Late,
    }
}

fn unreadable(error: &SceneError) -> Blank {
    match error {
        SceneError::TooWide(_) => Blank::TooWide,
        SceneError::Deadline(_) => Blank::Late,
        SceneError::Compute(_) => Blank::Internal,
        error if error.is_passing() => Blank::Unreadable,
        _ => Blank::Form,
    }
}
