#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *nothing)
{
    return PyLong_FromLong(42);
}

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "meson_project", NULL, -1, methods};

PyMODINIT_FUNC PyInit_meson_project(void)
{
    return PyModule_Create(&module);
}
