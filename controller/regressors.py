"""What surrogates are made of: scikit-learn's regressors, each with draws from its posterior."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

JITTER: Final = 1e-8


@dataclass(frozen=True, slots=True)
class LinearFit:
    """A Bayesian linear fit: coefficients [d], intercept, and a root [d, d] of their covariance."""

    coefficients: Floats
    intercept: float
    root: Floats

    def mean(self, rows: Floats) -> Floats:
        """Expected values [n]."""
        return rows @ self.coefficients + self.intercept

    def draw(self, rows: Floats, rng: np.random.Generator) -> Floats:
        """Values [n] under coefficients drawn from their posterior."""
        drawn = self.coefficients + self.root @ rng.normal(size=len(self.coefficients))
        values: Floats = rows @ drawn + self.intercept
        return values


def bayesian_ridge(rows: Floats, values: Floats) -> LinearFit:
    """Ridge regression whose strength is found by evidence (MacKay, 1992)."""
    from sklearn.linear_model import BayesianRidge  # loads scipy: not at `import nas`

    found = BayesianRidge().fit(rows, values)
    return LinearFit(found.coef_, float(found.intercept_), _root(found.sigma_))


def _root(covariance: Floats) -> Floats:
    """The symmetric root [d, d] of a covariance [d, d].

    Not axes * sqrt(variances): with fewer outcomes than features many variances are equal, and which axes
    come then is a matter of the last bits, and so of threads and of the processor. Draws must not be.
    """
    variances, axes = np.linalg.eigh(covariance)
    root: Floats = (axes * np.sqrt(np.maximum(variances, 0))) @ axes.T
    return root


@dataclass(frozen=True, slots=True)
class ProcessFit:
    """A Gaussian process with what it was fitted to."""

    process: Any

    def mean(self, rows: Floats) -> Floats:
        """Expected values [n]."""
        return np.asarray(self.process.predict(rows), np.float64)

    def draw(self, rows: Floats, rng: np.random.Generator) -> Floats:
        """Values [n] of one function drawn from the posterior, without the noise of a measurement."""
        mean, covariance = self.process.predict(rows, return_cov=True)
        noise = self.process.kernel_.k2.noise_level
        root = _root(covariance - noise * np.eye(len(rows)))
        values: Floats = mean + root @ rng.normal(size=len(rows))
        return values


def gaussian_process(rows: Floats, values: Floats) -> ProcessFit:
    """A Matern 5/2 process with one length scale, and noise; both by maximum likelihood."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    length = float(np.sqrt(2 * rows.shape[1]))  # how far apart two standardised rows lie
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(length, (length / 30, length * 30), nu=2.5)
    process = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-4, 10)), alpha=JITTER)
    with warnings.catch_warnings():
        # A parameter at its bound is a fit like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ProcessFit(process.fit(rows, values))
