#include <Python.h>
#include <zlib.h>

static PyObject *checksum(PyObject *self, PyObject *text)
{
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    return bytes ? PyLong_FromUnsignedLong(crc32(0, (const Bytef *) bytes, size)) : NULL;
}

static PyMethodDef methods[] = {{"checksum", checksum, METH_O, NULL}, {NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "c_extension", __FILE__, -1, methods};

PyMODINIT_FUNC PyInit_c_extension(void)
{
    return PyModule_Create(&module);
}
