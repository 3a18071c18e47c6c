package com.baidu.paddle.lite;

/** What every configuration is. */
public class ConfigBase {
    protected String modelDir;

    public String getModelDir() {
        throw DeclarationOnly.here();
    }

    public void setModelDir(String modelDir) {
        throw DeclarationOnly.here();
    }
}
