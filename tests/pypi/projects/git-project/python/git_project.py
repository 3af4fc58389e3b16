WHERE = "git"
