package com.baidu.paddle.lite;

/** An input or output of a predictor. */
public class Tensor {
    protected Tensor(long cppTensorPointer, boolean readOnly, PaddlePredictor predictor) {
        throw DeclarationOnly.here();
    }

    public boolean resize(long[] dims) {
        throw DeclarationOnly.here();
    }

    public boolean setData(float[] buf) {
        throw DeclarationOnly.here();
    }

    public long[] shape() {
        throw DeclarationOnly.here();
    }

    public float[] getFloatData() {
        throw DeclarationOnly.here();
    }
}
