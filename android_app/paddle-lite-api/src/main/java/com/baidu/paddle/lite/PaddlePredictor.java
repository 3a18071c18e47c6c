package com.baidu.paddle.lite;

/** A loaded model. */
public class PaddlePredictor {
    /** Calls {@link #init}; a predictor whose model cannot be loaded is made nevertheless. */
    public PaddlePredictor(ConfigBase config) {
        throw DeclarationOnly.here();
    }

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

    /** Calls {@link #clear}. */
    @Override
    protected void finalize() throws Throwable {
        throw DeclarationOnly.here();
    }

    /** Loads the model; returns whether that was done. */
    protected boolean init(ConfigBase config) {
        throw DeclarationOnly.here();
    }

    /** Frees the native model; returns false when there is none, or none any more. */
    protected boolean clear() {
        throw DeclarationOnly.here();
    }
}
