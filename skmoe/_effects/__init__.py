"""Random effects of subjects: their likelihood, and what is known of subjects from some rows."""

from .known_subjects import SubjectEffects, subject_effects
from .random_effects import RandomEffects
