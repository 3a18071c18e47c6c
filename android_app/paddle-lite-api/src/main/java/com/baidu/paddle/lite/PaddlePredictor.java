package com.baidu.paddle.lite;

/** A loaded model. */
public class PaddlePredictor {
    protected PaddlePredictor() {}

    /** Returns null when the model cannot be loaded. */
    public static PaddlePredictor createPaddlePredictor(ConfigBase config) {
        throw DeclarationOnly.here();
    }

    public Tensor getInput(int offset) {
        throw DeclarationOnly.here();
    }

    public Tensor getOutput(int offset) {
        throw DeclarationOnly.here();
    }

    public boolean run() {
        throw DeclarationOnly.here();
    }

    public String getVersion() {
        throw DeclarationOnly.here();
    }
}
