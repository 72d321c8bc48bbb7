//! The kinds of records of a company, and what each is called where.

use std::fmt;
use std::str::FromStr;

use crate::word::UnknownWord;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A person.
    Person,
    /// An organization.
    Organization,
    /// A deal.
    Deal,
    /// A product.
    Product,
    /// An activity.
    Activity,
    /// A lead, which only version 1 reads and writes.
    Lead,
}

impl Entity {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Person, Self::Organization, Self::Deal, Self::Product, Self::Activity, Self::Lead];

    /// The word of paths, reports and fault specifications.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Person => "persons",
            Self::Organization => "organizations",
            Self::Deal => "deals",
            Self::Product => "products",
            Self::Activity => "activities",
            Self::Lead => "leads",
        }
    }

    /// The word of filter conditions and search results.
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Organization => "organization",
            Self::Deal => "deal",
            Self::Product => "product",
            Self::Activity => "activity",
            Self::Lead => "lead",
        }
    }

    /// The `type` of filters over it.
    pub(crate) fn filter_type(self) -> &'static str {
        match self {
            Self::Person => "people",
            Self::Organization => "org",
            Self::Deal => "deals",
            Self::Product => "products",
            Self::Activity => "activity",
            Self::Lead => "leads",
        }
    }

    /// Whose custom fields its records have: a lead has those of deals.
    pub(crate) fn custom_home(self) -> Self {
        match self {
            Self::Lead => Self::Deal,
            Self::Person | Self::Organization | Self::Deal | Self::Product | Self::Activity => self,
        }
    }

    /// The name of a record: its title, where it has no name.
    pub(crate) fn title_field(self) -> &'static str {
        match self {
            Self::Person | Self::Organization | Self::Product => "name",
            Self::Deal | Self::Lead => "title",
            Self::Activity => "subject",
        }
    }

    /// The field that links it to an organization.
    pub(crate) fn organization_field(self) -> &'static str {
        if self == Self::Lead { "organization_id" } else { "org_id" }
    }

    /// Records get ids from here on, so that an id used with the wrong kind finds nothing.
    pub(crate) fn first_id(self) -> u64 {
        match self {
            Self::Person => 100_001,
            Self::Organization => 7_001,
            Self::Deal => 8_001,
            Self::Product => 9_001,
            Self::Activity => 6_001,
            Self::Lead => 5_001,
        }
    }

    pub(crate) fn of_filter_type(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entity| entity.filter_type() == word)
    }

    pub(crate) fn of_singular(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entity| entity.singular() == word)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural())
    }
}

impl FromStr for Entity {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|entity| entity.plural() == word).ok_or_else(|| UnknownWord {
            what: "kind of record",
            word: word.to_owned(),
            valid: Self::ALL.map(Self::plural).join(", "),
        })
    }
}
