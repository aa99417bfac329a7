"""The compiled extensions and the OpenMP probe; all else stands in pyproject.toml.

Environment variables: SKMOE_NO_OPENMP=1 builds without threads; SKMOE_BOUNDSCHECK=1 makes the
kernels check their indices; SKMOE_CFLAGS=-O1 adds flags of the C compiler. A tree that is already
built is built again when one of them changes.
"""

import os
import sys
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

EXTENSIONS = {
    "skmoe._kernels._estep": ["skmoe/_kernels/_estep.pyx"],
    "skmoe._kernels._exp": ["skmoe/_kernels/_exp.pyx"],
    "skmoe._kernels._grams": ["skmoe/_kernels/_grams.pyx"],
    "skmoe._kernels._k_means": ["skmoe/_kernels/_k_means.pyx"],
    "skmoe._kernels._linear_pass": ["skmoe/_kernels/_linear_pass.pyx"],
    "skmoe._kernels._linear_run": ["skmoe/_kernels/_linear_run.pyx"],
    "skmoe._kernels._logistic_normal": ["skmoe/_kernels/_logistic_normal.pyx"],
    "skmoe._kernels._pooled": ["skmoe/_kernels/_pooled.pyx"],
    "skmoe._kernels._pooled_run": ["skmoe/_kernels/_pooled_run.pyx"],
    "skmoe._kernels._routing": ["skmoe/_kernels/_routing.pyx"],
    "skmoe._kernels._softmax_steps": ["skmoe/_kernels/_softmax_steps.pyx"],
    "skmoe._kernels._systems": ["skmoe/_kernels/_systems.pyx"],
}
HEADERS = [str(path) for path in Path("skmoe/_kernels").glob("*.h")]
SWITCHES = "SKMOE_NO_OPENMP", "SKMOE_BOUNDSCHECK", "SKMOE_CFLAGS"

OPENMP_PROBE = """
#include <omp.h>
int main(void) { return omp_get_max_threads() < 1; }
"""


def openmp_flags(compiler):
    """Flags for compiling and for linking with OpenMP; both empty where it does not work."""
    if os.environ.get("SKMOE_NO_OPENMP") == "1":
        return [], []
    if compiler.compiler_type == "msvc":
        compile_args, link_args = ["/openmp"], []
    elif sys.platform == "darwin":
        compile_args, link_args = ["-Xpreprocessor", "-fopenmp"], ["-lomp"]
    else:
        compile_args, link_args = ["-fopenmp"], ["-fopenmp"]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(OPENMP_PROBE)
        try:
            objects = compiler.compile(
                [str(source)], output_dir=folder, extra_postargs=compile_args
            )
            compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=link_args)
        except (CompileError, LinkError):
            print("skmoe: OpenMP does not work with this compiler; building without threads")
            return [], []
    return compile_args, link_args


class BuildKernels(build_ext):
    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or True  # as many compilers as cores

    def build_extensions(self):
        compile_args, link_args = openmp_flags(self.compiler)
        if self.compiler.compiler_type != "msvc":
            compile_args = [
                "-O3",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-Wno-psabi",  # vectors pass between inlined functions only
                *compile_args,
            ]
        for extension in self.extensions:
            extension.extra_compile_args += [
                *compile_args,
                *os.environ.get("SKMOE_CFLAGS", "").split(),
            ]
            extension.extra_link_args += link_args
        super().build_extensions()


def file_of_switches(path):
    """A file that is as new as the last change of an environment variable, for ``depends``."""
    switches = "\n".join(f"{name}={os.environ.get(name, '')}" for name in SWITCHES)
    if not path.exists() or path.read_text("utf-8") != switches:
        path.parent.mkdir(exist_ok=True)
        path.write_text(switches, "utf-8")
    return str(path)


def in_c(extensions, folder, directives):
    """The extensions in C, translated unless all of it is newer than the kernels and this file.

    Cython alone would translate them in each environment that pip makes for a build, as files of
    SciPy and its own are newer there; and the compiler would start again.
    """
    translated = [Path(folder, *each.sources).with_suffix(".c") for each in extensions]
    kernels = Path("skmoe/_kernels").iterdir()
    files = [Path("setup.py"), *(path for path in kernels if path.suffix != ".so")]
    newest = max(path.stat().st_mtime for path in files if path.is_file())
    if not all(path.exists() and path.stat().st_mtime > newest for path in translated):
        return cythonize(extensions, build_dir=folder, compiler_directives=directives)
    for extension, path in zip(extensions, translated, strict=True):
        extension.sources = [str(path)]
    return extensions


boundscheck = os.environ.get("SKMOE_BOUNDSCHECK") == "1"
depends = [*HEADERS, file_of_switches(Path("build/switches"))]

setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=in_c(
        [
            Extension(name, sources, depends=depends, include_dirs=["skmoe/_kernels"])
            for name, sources in EXTENSIONS.items()
        ],
        "build/cython-boundscheck" if boundscheck else "build/cython",
        dict(
            language_level=3,
            boundscheck=boundscheck,
            wraparound=False,
            cdivision=True,
            initializedcheck=False,
            freethreading_compatible=True,
        ),
    ),
)
