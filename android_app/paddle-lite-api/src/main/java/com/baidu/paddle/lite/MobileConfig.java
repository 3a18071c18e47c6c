package com.baidu.paddle.lite;

/** Settings of a predictor for a converted model. */
public class MobileConfig extends ConfigBase {
    public void setModelFromFile(String modelFile) {
        throw DeclarationOnly.here();
    }

    public void setThreads(int threads) {
        throw DeclarationOnly.here();
    }

    public void setPowerMode(PowerMode powerMode) {
        throw DeclarationOnly.here();
    }
}
