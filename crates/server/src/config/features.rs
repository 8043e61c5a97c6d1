//! The features that Prometheus has behind `--enable-feature`.

use std::str::FromStr;

use duramen_promql::Features;
use duramen_proto::TypeAndUnitLabels;
use serde::{Deserialize, Serialize};

/// The features that are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Option<Written>", into = "Option<String>")]
pub struct EnabledFeatures(pub Features);

type Switch = fn(&mut Features) -> &mut bool;

/// Prometheus's names of the features, in alphabetical order.
const NAMES: [(&str, Switch); 3] = [
    ("promql-delayed-name-removal", |features| {
        &mut features.delayed_name_removal
    }),
    ("type-and-unit-labels", |features| {
        &mut features.type_and_unit_labels
    }),
    ("use-start-timestamps", |features| {
        &mut features.start_timestamps
    }),
];

/// The forms that a file may use.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    List(Vec<String>),
}

impl EnabledFeatures {
    fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut features = Features::default();
        for name in names
            .into_iter()
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let Some((_, switch)) = NAMES.iter().find(|(known, _)| *known == name) else {
                let known = NAMES.map(|(known, _)| known).join(", ");
                return Err(format!(
                    "the feature is not known. feature=`{name}`, known=`{known}`"
                ));
            };

            *switch(&mut features) = true;
        }

        Ok(Self(features))
    }
}

impl EnabledFeatures {
    /// Returns whether new series get their type and unit as labels.
    pub fn type_and_unit_labels(self) -> TypeAndUnitLabels {
        if self.0.type_and_unit_labels {
            TypeAndUnitLabels::FromMetadata
        } else {
            TypeAndUnitLabels::AsSent
        }
    }
}

impl FromStr for EnabledFeatures {
    type Err = String;

    fn from_str(names: &str) -> Result<Self, String> {
        Self::of(names.split(','))
    }
}

impl TryFrom<Option<Written>> for EnabledFeatures {
    type Error = String;

    fn try_from(written: Option<Written>) -> Result<Self, String> {
        match written {
            None => Ok(Self::default()),
            Some(Written::Text(names)) => names.parse(),
            Some(Written::List(names)) => Self::of(names.iter().map(String::as_str)),
        }
    }
}

impl From<EnabledFeatures> for Option<String> {
    fn from(EnabledFeatures(mut features): EnabledFeatures) -> Self {
        let on: Vec<&str> = NAMES
            .iter()
            .filter(|(_, switch)| *switch(&mut features))
            .map(|(name, _)| *name)
            .collect();

        (!on.is_empty()).then(|| on.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_said_by_their_names_in_text_or_list() {
        let delayed = Features {
            delayed_name_removal: true,
            ..Features::default()
        };

        let both = Features {
            type_and_unit_labels: true,
            ..delayed
        };

        for (yaml, wanted) in [
            ("", Features::default()),
            ("\"\"", Features::default()),
            ("promql-delayed-name-removal", delayed),
            ("type-and-unit-labels, promql-delayed-name-removal", both),
            ("[type-and-unit-labels, promql-delayed-name-removal]", both),
        ] {
            #[derive(Deserialize)]
            struct File {
                features: EnabledFeatures,
            }
            let file: File = duramen_settings::read(&format!("features: {yaml}")).unwrap();
            assert_eq!(file.features.0, wanted, "{yaml}");
        }

        let printed: Option<String> = EnabledFeatures(both).into();
        assert_eq!(
            printed.as_deref(),
            Some("promql-delayed-name-removal,type-and-unit-labels")
        );
    }

    #[test]
    fn an_unknown_feature_is_refused_with_those_that_are_known() {
        let error = "type-and-unit-labels,old-ui"
            .parse::<EnabledFeatures>()
            .unwrap_err();
        assert!(
            error.contains("feature=`old-ui`") && error.contains("use-start-timestamps"),
            "{error}"
        );
    }
}
