# SPDX-License-Identifier: Apache-2.0
"""scikit-learn models written with skl2onnx: labels and scores of olivine against those of scikit-learn itself.

usage: compare.py OLIVINE [--write FOLDER]

With --write, models that agree are left in FOLDER as vectors in the form of the ONNX backend tests, with olivine's labels and
scores, which are those of scikit-learn by the comparison."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import sklearn  # noqa: F401
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
except ImportError as e:
    print("skipped: %s" % e)
    sys.exit(77)

from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (AdaBoostClassifier, ExtraTreesRegressor, GradientBoostingClassifier, GradientBoostingRegressor,
                              HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier, RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor


def models():
    """name, estimator, X, y"""
    for n, informative in ((2, 4), (4, 6)):
        X, y = make_classification(160, 8, n_informative=informative, n_classes=n, random_state=n)
        X = X.astype("f4")
        names = np.array(["red", "green", "blue", "grey"])[y]
        k = "%dclasses" % n
        yield "tree-" + k, DecisionTreeClassifier(max_depth=4, random_state=0), X, y
        yield "forest-" + k, RandomForestClassifier(6, max_depth=4, random_state=0), X, y
        yield "forest-names-" + k, RandomForestClassifier(3, max_depth=3, random_state=0), X, names
        yield "boosting-" + k, GradientBoostingClassifier(n_estimators=5, max_depth=3, random_state=0), X, y
        yield "hist-" + k, HistGradientBoostingClassifier(max_iter=4, max_depth=3, random_state=0), X, y
        yield "ada-" + k, AdaBoostClassifier(n_estimators=4, random_state=0), X, y
        yield "logistic-" + k, LogisticRegression(max_iter=500), X, y
        yield "logistic-names-" + k, LogisticRegression(max_iter=500), X, names
        yield "sgd-" + k, SGDClassifier(loss="log_loss", random_state=0), X, y
        yield "linear-svc-" + k, LinearSVC(random_state=0), X, y
        for kernel in ("linear", "poly", "rbf", "sigmoid"):
            yield "svc-%s-%s" % (kernel, k), SVC(kernel=kernel, random_state=0), X, y
        yield "svc-probability-" + k, SVC(probability=True, random_state=0), X, y
        yield "nusvc-names-" + k, NuSVC(nu=0.2, probability=True, random_state=0), X, names
        yield "knn-" + k, KNeighborsClassifier(3), X, y
        yield "gaussian-" + k, GaussianNB(), X, y
        yield "bernoulli-" + k, BernoulliNB(), X, y
        yield "mlp-" + k, MLPClassifier((6,), max_iter=80, random_state=0), X, y
        yield "scaled-" + k, make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), X, y
        yield "minmax-" + k, make_pipeline(MinMaxScaler(), Normalizer("l2"), DecisionTreeClassifier(max_depth=3, random_state=0)), X, y
        yield "binarized-" + k, make_pipeline(Binarizer(threshold=0.1), Normalizer("l1"), LogisticRegression(max_iter=500)), X, y
        holes = X.copy()
        holes[::7, 1] = np.nan
        yield "imputed-" + k, make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)), holes, y
        words = np.stack([np.array(["a", "b", "c"])[(X[:, 0] * 3).astype(int) % 3], np.array(["x", "y"])[(X[:, 1] > 0).astype(int)]], 1).astype(object)
        yield "one-hot-" + k, make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500)), words, y
    X, y = make_regression(120, 6, n_informative=4, random_state=1)
    X = X.astype("f4")
    y = y / 50
    two = np.stack([y, -y * 0.5], 1)
    yield "linear", LinearRegression(), X, y
    yield "linear-2", LinearRegression(), X, two
    yield "tree-regressor", DecisionTreeRegressor(max_depth=4, random_state=0), X, y
    yield "forest-regressor", RandomForestRegressor(5, max_depth=4, random_state=0), X, y
    yield "forest-regressor-2", ExtraTreesRegressor(4, max_depth=4, random_state=0), X, two
    yield "boosting-regressor", GradientBoostingRegressor(n_estimators=6, max_depth=3, random_state=0), X, y
    yield "svr", SVR(), X, y
    yield "svr-poly", SVR(kernel="poly", degree=2, coef0=0.5), X, y
    yield "one-class", OneClassSVM(nu=0.2), X, None
    yield "isolation", IsolationForest(n_estimators=4, max_samples=32, random_state=0), X, None
    yield "knn-regressor", KNeighborsRegressor(3), X, y


def write(name, est, X, y, folder):
    """Fits and exports; returns the model's path, or None where skl2onnx cannot write it."""
    est.fit(X) if y is None else est.fit(X, y)
    last = est.steps[-1][1] if hasattr(est, "steps") else est
    text = X.dtype == object
    kind = StringTensorType([None, X.shape[1]]) if text else FloatTensorType([None, X.shape[1]])
    options = {id(last): {"zipmap": False}} if hasattr(last, "classes_") and not isinstance(last, LinearSVC) else None
    try:
        model = to_onnx(est, initial_types=[("X", kind)], options=options, target_opset={"": 18, "ai.onnx.ml": 3})
    except Exception as e:  # skl2onnx lags behind scikit-learn
        print("  %s: not written by skl2onnx: %s" % (name, str(e).splitlines()[0][:100]))
        return None
    path = os.path.join(folder, name + ".onnx")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())
    return path


def run(olivine, path, x, folder, device):
    """The outputs of olivine as nested lists, in order."""
    data = os.path.join(folder, "x.json")
    with open(data, "w") as f:
        f.write(json.dumps(x.tolist()))
    if x.dtype != object:
        data = os.path.join(folder, "x.npy")
        np.save(data, x)
    line = json.dumps({"inputs": {"X": data}}) + "\n"
    r = subprocess.run([olivine, "infer", path, "--jsonl", "--output-dir", folder, "--output-format", "json", "--device", device],
                       input=line, capture_output=True, text=True)
    if r.returncode or not r.stdout:
        raise RuntimeError(r.stderr.strip() or r.stdout)
    return [json.load(open(p)) for p in json.loads(r.stdout.splitlines()[0])["outputs"].values()]


def expected(est, X):
    """Label (or prediction), and scores where the estimator has them."""
    out = [est.predict(X)]
    for scores in ("predict_proba", "decision_function"):
        if hasattr(est, scores) and len(out) == 1:
            out.append(getattr(est, scores)(X))
    return out


def agrees(got, want):
    got = np.array(got)
    if want.dtype.kind in "USO" or (want.dtype.kind in "iu" and got.dtype.kind in "iu"):
        return 0.0 if (got.reshape(-1) == want.reshape(-1)).all() else float("inf")
    got, want = got.astype("f8"), want.astype("f8")
    if got.ndim == 2 and got.shape[1] == 2 and want.ndim == 1:  # one decision: that of SVC stands first, others last
        got = min((got[:, 0], got[:, 1]), key=lambda c: np.abs(c - want).max())
    return float(np.abs(got.reshape(-1) - want.reshape(-1)).max() / max(1.0, np.abs(want).max())) if got.size == want.size else float("inf")


def keep(folder, name, path, x, outputs):
    """node/sklearn_NAME/model.onnx and test_data_set_0."""
    import onnx
    from onnx import numpy_helper
    place = os.path.join(folder, "node", "sklearn_" + name.replace("-", "_"), "test_data_set_0")
    os.makedirs(place, exist_ok=True)
    model = onnx.load(path)
    onnx.save(model, os.path.join(place, "..", "model.onnx"))
    arrays = {"input_0": x}
    for i, (o, y) in enumerate(zip(model.graph.output, outputs)):
        kind = o.type.tensor_type.elem_type
        arrays["output_%d" % i] = np.array(y, object if kind == 8 else onnx.helper.tensor_dtype_to_np_dtype(kind))
    for stem, a in arrays.items():
        with open(os.path.join(place, stem + ".pb"), "wb") as f:
            f.write(numpy_helper.from_array(a).SerializeToString())


def main():
    olivine, folder = sys.argv[1], sys.argv[3] if len(sys.argv) > 3 else None
    bad = n = 0
    with tempfile.TemporaryDirectory() as temp:
        for name, est, X, y in models():
            path = write(name, est, X, y, temp)
            if not path:
                continue
            test = X[:24]
            want = expected(est, test)
            for device in ("CPU", "REFERENCE"):
                n += 1
                try:
                    got = run(olivine, path, test, temp, device)
                    off = [agrees(g, w) for g, w in zip(got, want)]
                    ok = off[0] <= 1e-5 and (len(off) < 2 or off[1] <= 1e-5)
                    if not ok:
                        print("  %s on %s: off by %s" % (name, device, off))
                except Exception as e:
                    ok = False
                    print("  %s on %s: %s" % (name, device, str(e)[:300]))
                bad += not ok
            if folder and ok:
                keep(folder, name, path, test, got)
    print("%d of %d agree" % (n - bad, n))
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
