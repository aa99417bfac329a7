"""Random effects of subjects: their likelihood, and the effects of subjects given some rows."""

from .known_subjects import SubjectEffects, subject_effects
from .random_effects import RandomEffects
